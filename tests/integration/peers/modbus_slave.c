/*
 * modbus_slave: a Modbus slave made of libmodbus, as a peer that shares nothing with our own framer.
 *
 * usage: modbus_slave tcp PORT UNIT < TABLE   |   modbus_slave DEVICE BAUD UNIT < TABLE
 * TABLE: lines "coil|discrete|holding|input ADDRESS VALUE".  Serves until it is killed.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 2000 };

static void load(modbus_mapping_t *map)
{
        unsigned address, value;
        char table[16];

        while (scanf("%15s %u %u", table, &address, &value) == 3) {
                if (address >= N)
                        exit(2);
                if (!strcmp(table, "coil"))
                        map->tab_bits[address] = (uint8_t)value;
                else if (!strcmp(table, "discrete"))
                        map->tab_input_bits[address] = (uint8_t)value;
                else if (!strcmp(table, "holding"))
                        map->tab_registers[address] = (uint16_t)value;
                else
                        map->tab_input_registers[address] = (uint16_t)value;
        }
}

static void serve(modbus_t *ctx, modbus_mapping_t *map)
{
        uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
        int n;

        for (;;) {
                n = modbus_receive(ctx, query);
                if (n > 0)
                        modbus_reply(ctx, query, n, map);
                else if (n < 0 && errno != EMBBADCRC)
                        return;
        }
}

int main(int argc, char **argv)
{
        modbus_mapping_t *map = modbus_mapping_new(N, N, N, N);
        modbus_t *ctx;
        int listener = -1;

        if (argc != 4 || !map)
                return 2;
        load(map);
        if (!strcmp(argv[1], "tcp"))
                ctx = modbus_new_tcp("127.0.0.1", atoi(argv[2]));
        else
                ctx = modbus_new_rtu(argv[1], atoi(argv[2]), 'N', 8, 1);
        if (!ctx || modbus_set_slave(ctx, atoi(argv[3])) < 0)
                return 2;
        if (strcmp(argv[1], "tcp")) {
                if (modbus_connect(ctx) < 0)
                        return 1;
                for (;;)
                        serve(ctx, map);
        }
        listener = modbus_tcp_listen(ctx, 4);
        while (listener >= 0 && modbus_tcp_accept(ctx, &listener) >= 0) {
                serve(ctx, map);
                modbus_close(ctx);
        }
        return 1;
}
