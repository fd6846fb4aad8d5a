// An echo in Bun's own server. usage: bun bun_echo.js PORT [--deflate] [--tls CERT KEY]
const [port, ...flags] = process.argv.slice(2);
const tls = flags.indexOf("--tls");
const deflate = flags.includes("--deflate");

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  tls: tls < 0 ? undefined : { cert: Bun.file(flags[tls + 1]), key: Bun.file(flags[tls + 2]) },
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    // "shared": every message by itself, as weir does by default.
    perMessageDeflate: deflate ? { compress: "shared", decompress: "shared" } : false,
    maxPayloadLength: 1 << 20,
    backpressureLimit: 16 << 20,
    message(socket, message) {
      socket.send(message, deflate);
    },
  },
});
