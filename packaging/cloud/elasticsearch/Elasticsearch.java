/*
 * Elasticsearch 7.17 as one process on plain jars, for one machine.
 *
 * As OpenSearch.java.  Elastic's nori plugin is not on Maven Central, but
 * Lucene's analyzer is: it is given the plugin's name here, so that the
 * template is the same as for a cluster that has the plugin.
 *
 * usage: java -cp 'jars/*' Elasticsearch HOME     settings in HOME/config/elasticsearch.yml
 */
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.ko.KoreanAnalyzer;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.AbstractIndexAnalyzerProvider;
import org.elasticsearch.index.analysis.AnalyzerProvider;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.transport.Netty4Plugin;

public class Elasticsearch extends Node {
    private static final class Korean extends AbstractIndexAnalyzerProvider<KoreanAnalyzer> {
        private final KoreanAnalyzer analyzer = new KoreanAnalyzer();

        Korean(IndexSettings index, Environment environment, String name, Settings settings) {
            super(index, name, settings);
        }

        @Override
        public KoreanAnalyzer get() {
            return analyzer;
        }
    }

    public static final class Nori extends Plugin implements AnalysisPlugin {
        @Override
        public Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> getAnalyzers() {
            return Map.of("nori", Korean::new);
        }
    }

    private Elasticsearch(Environment environment) {
        super(environment, List.of(Netty4Plugin.class, Nori.class), true);
    }

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        Settings settings = Settings.builder().put("path.home", home.toString()).build();
        Elasticsearch node = new Elasticsearch(
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home.resolve("config"), () -> "millrace"));
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
