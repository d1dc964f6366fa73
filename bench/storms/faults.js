// Five ways in which a server can trouble its clients, each in the words of the client's own protocol.
//
// Every server counts dials: connections that reached it, whatever became of them.

import { createServer as createHttp } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { Server as SocketIo } from 'socket.io';
import { WebSocketServer } from 'ws';

/** How long a flapping server keeps a client that it has just welcomed. */
const FLAP_MS = 100;

/** Starts a server with `fault` for the client called `name`. */
export async function startServer(name, fault) {
  const dials = { count: 0 };
  const server = fault === 'refused' ? refusing(dials) : counting(dials);
  if (fault === 'dropped') dropAll(server);
  else if (fault !== 'refused') PROTOCOLS[name](server, fault);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port, dials };
}

/** Resets every connection before a byte was read: to a client the same as nobody there, and it can be counted. */
function refusing(dials) {
  return createTcp((socket) => {
    dials.count += 1;
    socket.on('error', () => {});
    socket.resetAndDestroy();
  });
}

function counting(dials) {
  const server = createHttp((_request, response) => response.writeHead(404).end());
  server.on('upgrade', () => {
    dials.count += 1;
  });
  return server;
}

/** Completes the handshake and hangs up. */
function dropAll(server) {
  new WebSocketServer({ server, handleProtocols: firstProtocol }).on('connection', (socket) => socket.terminate());
}

const PROTOCOLS = { tidegate, centrifuge, 'socket.io-client': socketIo, phoenix, partysocket };

function tidegate(server, fault) {
  onMessage(server, (socket, { type, id }) => {
    if (type !== 'authenticate') return;
    const say = (kind, payload) => socket.send(JSON.stringify({ type: kind, id, payload }));
    if (fault === 'token') {
      say('auth_error', { error: 'Invalid authentication token', code: 'invalid_token' });
      socket.close(4001, 'Invalid token');
    } else if (fault === 'limit') {
      say('error', { error: 'Connection limit exceeded', code: 'connection_limit' });
      socket.close(4008, 'Max connections reached');
    } else {
      say('authenticated', { wallet_address: '', expires_at: '', expires_in_ms: 900_000 });
      say('connected', welcome());
      flap(socket);
    }
  });
}

function welcome() {
  const limits = {
    messages_per_minute: 30,
    subscriptions_per_connection: 10,
    connections_per_user: 3,
    max_message_bytes: 102_400,
  };
  const server_time = new Date().toISOString();
  return { session_id: 'session', expires_in_ms: 900_000, server_time, heartbeat_seconds: 25, limits };
}

/** Codes from 3500 on are those after which a client does not come back. */
function centrifuge(server, fault) {
  onMessage(server, (socket, { id, connect }) => {
    if (!connect) return;
    if (fault === 'token') socket.close(3500, 'invalid token');
    else if (fault === 'limit') socket.close(3504, 'connection limit');
    else {
      socket.send(JSON.stringify({ id, connect: { client: 'client', version: '', ping: 25, pong: true } }));
      flap(socket);
    }
  });
}

/** A limit is kept by the engine before the handshake, a token is judged by a middleware behind it. */
function socketIo(server, fault) {
  const allowRequest = (_request, answer) =>
    answer(fault === 'limit' ? 'too many connections' : null, fault !== 'limit');
  const io = new SocketIo(server, { allowRequest, transports: ['websocket'] });
  if (fault === 'token') io.use((_socket, next) => next(new Error('invalid token')));
  // Not `disconnect`, after which a client stays away by design: the network fails.
  io.on('connection', (socket) => setTimeout(() => socket.conn.close(), FLAP_MS));
}

/** The socket's `connect` answers with an error: the handshake is refused with 403. */
function phoenix(server, fault) {
  if (fault !== 'flapping') return refuseHandshake(server, '403 Forbidden');
  onMessage(server, () => {}).on('connection', flap);
}

/** It has no protocol of its own, so a server can only say it over HTTP. */
function partysocket(server, fault) {
  if (fault !== 'flapping')
    return refuseHandshake(server, fault === 'limit' ? '429 Too Many Requests' : '401 Unauthorized');
  onMessage(server, () => {}).on('connection', flap);
}

function refuseHandshake(server, status) {
  server.on('upgrade', (_request, socket) => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`));
}

/** Calls back with every message; a frame may hold several, one a line. */
function onMessage(server, handle) {
  const sockets = new WebSocketServer({ server, handleProtocols: firstProtocol });
  return sockets.on('connection', (socket) => {
    socket.on('message', (data) => {
      for (const line of String(data).split('\n')) if (line) handle(socket, JSON.parse(line));
    });
  });
}

function flap(socket) {
  setTimeout(() => socket.terminate(), FLAP_MS);
}

function firstProtocol(protocols) {
  return [...protocols][0] ?? false;
}
