// A HEP3 collector over UDP and TCP on one port, with the decoder of hep-js. Prints a line for each frame:
// the transport that brought it, what it says, and the first line of its payload.
//
// usage: NODE_PATH=... node .ci/hep.js PORT
const dgram = require("dgram");
const net = require("net");
const hep = require("hep-js");

const port = Number(process.argv[2]);

function show(over, frame) {
  const { rcinfo, payload } = hep.decapsulate(frame);
  const { protocol, srcIp, srcPort, dstIp, dstPort, captureId, correlation_id } = rcinfo;
  console.log(over, protocol, `${srcIp}:${srcPort}`, `${dstIp}:${dstPort}`, captureId, correlation_id, payload.split("\r\n")[0]);
}

dgram
  .createSocket("udp4", (frame) => show("udp", frame))
  .bind(port, "127.0.0.1");

net
  .createServer((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on("data", (data) => {
      bytes = Buffer.concat([bytes, data]);
      while (bytes.length >= 6 && bytes.length >= bytes.readUInt16BE(4)) {
        const length = bytes.readUInt16BE(4);
        show("tcp", bytes.subarray(0, length));
        bytes = bytes.subarray(length);
      }
    });
  })
  .listen(port, "127.0.0.1");
