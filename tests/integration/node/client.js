// A client made of ws, for the integration tests. Whoever starts it bounds its time.
//
//   node client.js HOST PORT CASE...    the cases of cases.py, a session each; says "ok", or what
//                                       was wrong, on one line for each case
'use strict';

const fs = require('fs');
const WebSocket = require('ws');

// The certificate to trust, when it is to be wss.
const CA = process.env.WEIR_TEST_CA && fs.readFileSync(process.env.WEIR_TEST_CA);

const PATTERN = 'weir \u00df\u2202\u{1d11e} '; // characters of 1, 2, 3 and 4 bytes

function messageOf(kind, bytes) {
  const message = Buffer.alloc(bytes);
  if (kind === 'text') {
    const pattern = Buffer.from(PATTERN);
    const whole = bytes - (bytes % pattern.length);
    if (whole > 0) message.fill(pattern, 0, whole);
    return message.fill('x', whole);
  }
  for (let i = 0; i < bytes; i++) message[i] = (i * 31 + (i >> 8)) & 0xff;
  return message;
}

/** One session, for one case. What happens to it waits in a queue until it is asked for. */
class Session {
  constructor(host, port) {
    this.socket = new WebSocket(`${CA ? 'wss' : 'ws'}://${host}:${port}/`, { ca: CA });
    this.events = [];
    this.wake = null;
    const on = (name, make) => this.socket.on(name, (...values) => this.happened(name, make(...values)));
    on('open', () => ({}));
    on('message', (data, binary) => ({ data, kind: binary ? 'binary' : 'text' }));
    on('pong', (data) => ({ data }));
    on('close', (code, reason) => ({ code, reason: reason.toString() }));
    on('error', (error) => ({ error }));
  }

  happened(name, details) {
    this.events.push({ name, ...details });
    if (this.wake) this.wake();
  }

  /** The next event, which has to be a `name`. */
  async next(name) {
    while (this.events.length === 0) await new Promise((wake) => (this.wake = wake));
    const event = this.events.shift();
    if (event.name !== name) {
      const what = event.error || event.code || event.kind || '';
      throw new Error(`expected ${name}, got ${event.name} ${what}`);
    }
    return event;
  }

  async expectMessage(kind, sent) {
    const event = await this.next('message');
    if (event.kind !== kind) throw new Error(`a ${kind} message came back as ${event.kind}`);
    if (event.data.length !== sent.length) {
      throw new Error(`${event.data.length} bytes came back of ${sent.length}`);
    }
    if (!event.data.equals(sent)) throw new Error('the bytes came back different');
  }

  async expectClose(code) {
    const event = await this.next('close');
    if (event.code !== code) throw new Error(`closed with ${event.code}: ${event.reason}`);
    return event;
  }

  sendPieces(kind, message, piece, withPings) {
    const binary = kind === 'binary';
    for (let at = 0; at < message.length; at += piece) {
      this.socket.send(message.subarray(at, at + piece), { binary, fin: false });
      if (withPings) this.socket.ping('between');
    }
    this.socket.send(Buffer.alloc(0), { binary, fin: true });
  }
}

async function echoInPieces(session, kind, bytes, piece, withPings) {
  const message = messageOf(kind, Number(bytes));
  session.sendPieces(kind, message, Number(piece), withPings);
  if (withPings) {
    for (let at = 0; at < message.length; at += Number(piece)) await session.next('pong');
  }
  await session.expectMessage(kind, message);
}

const CASES = {
  async echo(session, kind, bytes) {
    const message = messageOf(kind, Number(bytes));
    session.socket.send(message, { binary: kind === 'binary' });
    await session.expectMessage(kind, message);
  },
  pieces: (session, kind, bytes, piece) => echoInPieces(session, kind, bytes, piece, false),
  interleaved: (session, kind, bytes, piece) => echoInPieces(session, kind, bytes, piece, true),
  async pipeline(session, count) {
    for (let i = 0; i < Number(count); i++) session.socket.send(`number ${i}`);
    for (let i = 0; i < Number(count); i++) {
      await session.expectMessage('text', Buffer.from(`number ${i}`));
    }
  },
  async ping(session, bytes) {
    const sent = Buffer.alloc(Number(bytes), 'p');
    session.socket.ping(sent);
    const { data } = await session.next('pong');
    if (!data.equals(sent)) throw new Error(`a pong of ${data.length} bytes`);
  },
  async silent(session, milliseconds) {
    await new Promise((resolve) => setTimeout(resolve, Number(milliseconds)));
    session.socket.send('still here');
    await session.expectMessage('text', Buffer.from('still here'));
  },
  async close(session, code, ...reason) {
    session.socket.close(Number(code), reason.join(' '));
    await session.expectClose(Number(code));
  },
  async oversized(session, bytes, piece) {
    const message = messageOf('binary', Number(bytes));
    if (Number(piece) > 0) session.sendPieces('binary', message, Number(piece), false);
    else session.socket.send(message);
    await session.expectClose(1009);
  },
  async 'invalid-text'(session) {
    session.socket.send(Buffer.from([0x67, 0xc3, 0x28]), { binary: false });
    await session.expectClose(1007);
  },
  async 'await-close'(session, code, ...reason) {
    console.log('waiting');
    const event = await session.expectClose(Number(code));
    if (event.reason !== reason.join(' ')) throw new Error(`the reason is: ${event.reason}`);
  },
};

async function outcomeOf(host, port, text) {
  const [name, ...words] = text.split(' ');
  if (!CASES[name]) return `no such case: ${text}`;
  const session = new Session(host, port);
  try {
    await session.next('open');
    await CASES[name](session, ...words);
    return 'ok';
  } catch (error) {
    return error.message;
  } finally {
    session.socket.terminate();
  }
}

async function main([host, port, ...cases]) {
  for (const text of cases) console.log(await outcomeOf(host, port, text));
}

main(process.argv.slice(2));
