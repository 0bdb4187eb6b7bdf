"""A Modbus slave made of pymodbus. usage: pymodbus_slave.py tcp|rtu+tcp|ascii+tcp PORT UNIT < TABLE
       pymodbus_slave.py DEVICE BAUD UNIT [ascii] < TABLE

TABLE: lines "coil|discrete|holding|input ADDRESS VALUE".
"""

import asyncio
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer
from pymodbus.transaction import ModbusAsciiFramer, ModbusRtuFramer, ModbusSocketFramer

N = 2000


def load():
    tables = {name: [0] * N for name in ("coil", "discrete", "holding", "input")}
    for line in sys.stdin:
        table, address, value = line.split()
        tables[table][int(address)] = int(value)
    blocks = {name: ModbusSequentialDataBlock(0, values) for name, values in tables.items()}
    slave = ModbusSlaveContext(co=blocks["coil"], di=blocks["discrete"], hr=blocks["holding"], ir=blocks["input"],
                               zero_mode=True)
    return ModbusServerContext(slaves={int(sys.argv[3]): slave}, single=False)


async def main():
    context = load()
    framers = {"tcp": ModbusSocketFramer, "rtu+tcp": ModbusRtuFramer, "ascii+tcp": ModbusAsciiFramer}
    if sys.argv[1] in framers:
        await StartAsyncTcpServer(context=context, address=("127.0.0.1", int(sys.argv[2])), framer=framers[sys.argv[1]])
    else:
        framer = ModbusAsciiFramer if "ascii" in sys.argv else ModbusRtuFramer
        await StartAsyncSerialServer(context=context, framer=framer, port=sys.argv[1], baudrate=int(sys.argv[2]),
                                     stopbits=1, bytesize=8, parity="N")


asyncio.run(main())
