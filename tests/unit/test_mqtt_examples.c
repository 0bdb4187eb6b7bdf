/*
 * mqtt_examples: packaging/examples/mqtt, each on messages as the vendor documents them.
 *
 * The messages are those of the vendors' pages named in the files, with times of 2026; that the files are accepted, and
 * what comes out: source/tag=value[unit]@ms.
 */
#include "agent/config/config.h"
#include "tests/lib/mqtt_take.h"

struct message {
        const char *topic, *payload;
};

static void note_all(struct driver *d, const struct reading *r)
{
        mqtt_take_note(d, r);
        if (tags_get(d->tags, r->tag)->labels[0])
                transcript_add("{%s}", tags_get(d->tags, r->tag)->labels);
}

static struct config *load(const char *name)
{
        struct faults faults = {0};
        struct config *c = NULL;
        char path[500];

        snprintf(path, sizeof(path), TEST_ROOT "/packaging/examples/mqtt/%s.yaml", name);
        if (config_load(path, &c, &faults) < 0)
                fail_msg("%s: %s", path, faults.n ? faults.items[0].text : "?");
        faults_fini(&faults);
        return c;
}

static void check(const char *name, const struct message *m, const char *want)
{
        struct config *c = load(name);
        struct err e = {""};

        bench_init(&b, &mqtt_ops, "plant", c->drivers[0].conf);
        b.note = note_all;
        assert_int_equal(mqtt_intake_init(&in, &b.d, &e), 0);
        for (; m->topic; m++) {
                struct mqtt_message msg = {.topic = m->topic, .payload = m->payload, .len = strlen(m->payload)};

                assert_int_equal(mqtt_intake_take(&in, &msg), 0);
        }
        transcript_expect(want);
        mqtt_intake_fini(&in);
        bench_fini(&b);
        config_free(c);
}

static void test_tasmota(void **state)
{
        static const struct message m[] = {
                {"tele/hall/SENSOR",
                 "{\"Time\":\"2026-11-23T10:59:58\",\"DS18B20-1\":{\"Id\":\"01131B123456\",\"Temperature\":22.8},"
                 "\"AM2301\":{\"Temperature\":21.9,\"Humidity\":51.9,\"DewPoint\":11.6},\"TempUnit\":\"C\"}"},
                {"tele/plug/SENSOR",
                 "{\"Time\":\"2026-11-23T10:59:59\",\"ENERGY\":{\"TotalStartTime\":\"2024-02-08T19:42:12\","
                 "\"Total\":3.185,\"Yesterday\":3.058,\"Today\":0.127,\"Power\":40,\"ApparentPower\":43,"
                 "\"Factor\":0.93,\"Voltage\":230,\"Current\":0.187}}"},
                {"tele/plug/STATE",
                 "{\"Time\":\"2026-11-23T10:59:59\",\"Uptime\":\"0T00:15:16\",\"UptimeSec\":916,\"Vcc\":3.5,"
                 "\"POWER\":\"ON\",\"Wifi\":{\"AP\":1,\"SSId\":\"x\",\"RSSI\":88,\"Signal\":-56}}"},
                {"tele/plug/LWT", "Offline"},
                {NULL, NULL}};

        check("tasmota", m,
              "hall/DS18B20-1.temperature=22.8[C]@-2000 hall/AM2301.temperature=21.9[C]@-2000 "
              "hall/AM2301.humidity=51.9[%]@-2000 "
              "plug/ENERGY.power=40[W]@-1000 plug/ENERGY.voltage=230[V]@-1000 plug/ENERGY.current=0.187[A]@-1000 "
              "plug/ENERGY.energy=3.185[kWh]@-1000 plug/relay=true@-1000 plug/uptime=916[s]@-1000 "
              "plug/rssi=-56[dBm]@-1000 "
              "plug/online=false ");
}

static void test_shelly(void **state)
{
        static const struct message first[] = {{"shellies/shellyplug-s-6A6534/relay/0", "on"},
                                               {"shellies/shellyplug-s-6A6534/relay/0/power", "37.58"},
                                               {"shellies/shellyplug-s-6A6534/relay/0/energy", "6000"},
                                               {"shellies/shellyem-B9E3/emeter/1/voltage", "230.11"},
                                               {"shellies/shelly1pm-3E68/temperature", "41.20"},
                                               {"shellies/shelly1pm-3E68/online", "true"},
                                               {"shellies/shelly1pm-3E68/relay/0", "overpower"},
                                               {NULL, NULL}};
        static const struct message second[] = {
                {"shelly/plus1pm-1/status/switch:0",
                 "{\"id\":0,\"source\":\"WS_in\",\"output\":true,\"apower\":8.9,\"voltage\":237.5,\"current\":0.065,"
                 "\"aenergy\":{\"total\":6.532,\"by_minute\":[45.199,47.141,88.397],\"minute_ts\":1795427940},"
                 "\"temperature\":{\"tC\":23.5,\"tF\":74.4}}"},
                {"shelly/plus1pm-1/events/rpc",
                 "{\"src\":\"shellyplus1pm-1\",\"dst\":\"shelly/plus1pm-1/events\",\"method\":\"NotifyStatus\","
                 "\"params\":{\"ts\":1795427999.5,\"switch:0\":{\"id\":0,\"apower\":9.25,\"output\":false}}}"},
                {"shelly/plus1pm-1/online", "false"},
                {NULL, NULL}};

        check("shelly-gen1", first,
              "shellyplug-s-6A6534/relay=true{\"channel\":\"0\"} shellyplug-s-6A6534/power=37.58[W]{\"channel\":\"0\"} "
              "shellyplug-s-6A6534/energy=100[Wh]{\"channel\":\"0\"} shellyem-B9E3/voltage=230.11{\"channel\":\"1\"} "
              "shelly1pm-3E68/temperature=41.2[degC] shelly1pm-3E68/online=true "
              "shelly1pm-3E68/relay:sensor{\"channel\":\"0\"} ");
        check("shelly-gen2", second,
              "plus1pm-1/output=true{\"component\":\"switch_0._3a\"} "
              "plus1pm-1/power=8.9[W]{\"component\":\"switch_0._3a\"} "
              "plus1pm-1/voltage=237.5[V]{\"component\":\"switch_0._3a\"} "
              "plus1pm-1/current=0.065[A]{\"component\":\"switch_0._3a\"} "
              "plus1pm-1/energy=6.532[Wh]{\"component\":\"switch_0._3a\"} "
              "plus1pm-1/temperature=23.5[degC]{\"component\":\"switch_0._3a\"} "
              "plus1pm-1/switch_0.output._3a=false@-500 "
              "plus1pm-1/switch_0.power._3a=9.25[W]@-500 plus1pm-1/online=false ");
}

static void test_zigbee2mqtt(void **state)
{
        static const struct message m[] = {
                {"zigbee2mqtt/cellar",
                 "{\"battery\":97,\"humidity\":65.3,\"last_seen\":\"2026-11-23T09:59:59.000Z\",\"linkquality\":120,"
                 "\"pressure\":1003,\"temperature\":18.24,\"voltage\":2995}"},
                {"zigbee2mqtt/door", "{\"contact\":false,\"battery\":100}"},
                {"zigbee2mqtt/plug", "{\"state\":\"OFF\",\"power\":0}"},
                {"zigbee2mqtt/door/availability", "{\"state\":\"offline\"}"},
                {NULL, NULL}};

        check("zigbee2mqtt", m,
              "cellar/temperature=18.24[degC]@-1000 cellar/humidity=65.3[%]@-1000 cellar/pressure=1003[hPa]@-1000 "
              "cellar/battery=97[%]@-1000 cellar/linkquality=120@-1000 door/battery=100[%] door/contact=false "
              "plug/state=false "
              "plug/power=0[W] door/online=false ");
}

static void test_esphome(void **state)
{
        static const struct message m[] = {{"boiler/sensor/flow_temperature/state", "61.5"},
                                           {"boiler/sensor/flow_temperature/state", "nan"},
                                           {"boiler/binary_sensor/pump/state", "ON"},
                                           {"boiler/switch/valve/state", "OFF"},
                                           {"boiler/status", "offline"},
                                           {NULL, NULL}};

        check("esphome", m,
              "boiler/flow_temperature=61.5 boiler/flow_temperature:sensor boiler/pump=true boiler/valve=false "
              "boiler/online=false ");
}

static void test_lorawan(void **state)
{
        static const struct message chirpstack[] = {
                {"application/9d31ec61/device/0101010101010101/event/up",
                 "{\"deduplicationId\":\"3ac7e3c4-4401-4b8d-9386-a5c902f9202d\",\"time\":\"2026-11-23T09:59:59."
                 "123456789+00:00\","
                 "\"deviceInfo\":{\"tenantName\":\"ChirpStack\",\"deviceName\":\"Test "
                 "device\",\"devEui\":\"0101010101010101\"},"
                 "\"devAddr\":\"00189440\",\"dr\":1,\"fCnt\":4,\"fPort\":1,\"data\":\"AQIDBA==\","
                 "\"object\":{\"temperature\":21.5,\"humidity\":60,\"open\":true},\"rxInfo\":[{\"rssi\":-36}]}"},
                {"application/9d31ec61/device/0101010101010101/event/status",
                 "{\"time\":\"2026-11-23T09:59:59+00:00\",\"margin\":30,\"batteryLevel\":75.59}"},
                {NULL, NULL}};
        static const struct message things[] = {
                {"v3/app1@ttn/devices/dev1/up",
                 "{\"end_device_ids\":{\"device_id\":\"dev1\",\"application_ids\":{\"application_id\":\"app1\"},"
                 "\"dev_eui\":\"0004A30B001C0530\"},\"received_at\":\"2026-11-23T09:59:59Z\",\"uplink_message\":{\"f_"
                 "port\":1,"
                 "\"frm_payload\":\"gkHe\",\"decoded_payload\":{\"temperature\":1.0,\"luminosity\":0.64},"
                 "\"rx_metadata\":[{\"rssi\":-35}]}}"},
                {NULL, NULL}};

        check("chirpstack", chirpstack,
              "0101010101010101/temperature=21.5@-876{\"application\":\"9d31ec61\"} "
              "0101010101010101/humidity=60@-876{\"application\":\"9d31ec61\"} "
              "0101010101010101/open=true@-876{\"application\":\"9d31ec61\"} "
              "0101010101010101/battery=75.59[%]@-1000{\"application\":\"9d31ec61\"} "
              "0101010101010101/margin=30[dB]@-1000{\"application\":\"9d31ec61\"} ");
        check("the-things-stack", things, "dev1/temperature=1@-1000 dev1/luminosity=0.64@-1000 ");
}

static void test_gateways(void **state)
{
        static const struct message neuron[] = {
                {"/neuron/mqtt",
                 "{\"timestamp\":1795427999000,\"node\":\"modbus\",\"group\":\"grp\",\"tags\":[{\"name\":\"tag0\","
                 "\"value\":123},{\"name\":\"tag1\",\"error\":2014}]}"},
                {"/neuron-values/mqtt",
                 "{\"node\":\"modbus\",\"group\":\"grp\",\"timestamp\":1795427999000,\"values\":{\"tag0\":124},"
                 "\"errors\":{\"tag1\":2014},\"metas\":{}}"},
                {NULL, NULL}};
        static const struct message kepware[] = {
                {"iotgateway",
                 "{\"timestamp\":1795427999000,\"values\":[{\"id\":\"Channel1.Device1.Tag1\",\"v\":42,\"q\":true,"
                 "\"t\":1795427998000},{\"id\":\"Channel1.Device1.Tag2\",\"v\":7.5,\"q\":false,\"t\":1795427998000}]}"},
                {NULL, NULL}};

        check("neuron", neuron,
              "modbus.grp/tag0=123@-1000{\"application\":\"mqtt\"} modbus.grp/tag1:bad@-1000{\"application\":\"mqtt\"} "
              "modbus.grp/tag0=124@-1000{\"application\":\"mqtt\"} ");
        check("kepware", kepware, "kepware/Channel1.Device1.Tag1=42@-2000 kepware/Channel1.Device1.Tag2:bad@-2000 ");
}

static void test_home_assistant(void **state)
{
        static const struct message m[] = {{"homeassistant/sensor/outside_temperature/state", "7.4"},
                                           {"homeassistant/sensor/outside_temperature/state", "unavailable"},
                                           {"homeassistant/binary_sensor/door/state", "off"},
                                           {"homeassistant/switch/fan/state", "unknown"},
                                           {"homeassistant/climate/office/state", "heat"},
                                           {NULL, NULL}};

        check("home-assistant", m,
              "sensor/outside_temperature=7.4 sensor/outside_temperature:sensor binary_sensor/door=false "
              "switch/fan:sensor climate/office=heat ");
}

static void test_rtl_433(void **state)
{
        static const struct message m[] = {
                {"rtl_433/pi/events", "{\"time\":\"2026-11-23T09:59:59+0000\",\"model\":\"Nexus-TH\",\"id\":205,"
                                      "\"channel\":1,\"battery_ok\":1,"
                                      "\"temperature_C\":20.9,\"humidity\":48}"},
                {"rtl_433/pi/events",
                 "{\"time\":\"2026-11-23 09:59:58\",\"model\":\"Fineoffset-WHx080\",\"id\":95,\"temperature_C\":160,"
                 "\"wind_avg_km_h\":3.7,\"rain_mm\":0.3}"},
                {NULL, NULL}};

        check("rtl_433", m,
              "Nexus-TH-205/temperature=20.9[degC]@-1000{\"receiver\":\"pi\"} "
              "Nexus-TH-205/humidity=48[%]@-1000{\"receiver\":\"pi\"} "
              "Nexus-TH-205/battery_ok=true@-1000{\"receiver\":\"pi\"} "
              "Fineoffset-WHx080-95/temperature:out_of_range[degC]@-2000{\"receiver\":\"pi\"} "
              "Fineoffset-WHx080-95/wind=3.7[km/h]@-2000{\"receiver\":\"pi\"} "
              "Fineoffset-WHx080-95/rain=0.3[mm]@-2000{\"receiver\":\"pi\"} ");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tasmota),        cmocka_unit_test(test_shelly),
                cmocka_unit_test(test_zigbee2mqtt),    cmocka_unit_test(test_esphome),
                cmocka_unit_test(test_lorawan),        cmocka_unit_test(test_gateways),
                cmocka_unit_test(test_home_assistant), cmocka_unit_test(test_rtl_433),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
