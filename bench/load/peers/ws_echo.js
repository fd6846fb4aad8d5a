// An echo in the npm package ws. usage: node ws_echo.js PORT [--deflate] [--tls CERT KEY]
const { readFileSync } = require("node:fs");
const [port, ...flags] = process.argv.slice(2);
const tls = flags.indexOf("--tls");

const server =
  tls < 0
    ? require("node:http").createServer()
    : require("node:https").createServer({
        cert: readFileSync(flags[tls + 1]),
        key: readFileSync(flags[tls + 2]),
      });
const { WebSocketServer } = require("ws");
const sockets = new WebSocketServer({
  server,
  maxPayload: 1 << 20,
  // Every message by itself, from the size on that weir begins at.
  perMessageDeflate: flags.includes("--deflate") && {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    threshold: 128,
  },
});
sockets.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (message, isBinary) => socket.send(message, { binary: isBinary }));
});
server.listen(Number(port), "127.0.0.1");
