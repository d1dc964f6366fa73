// The clients as their documentation says to use them: every option about trying again is the default.

import { Centrifuge } from 'centrifuge';
import { WebSocket as PartySocket } from 'partysocket';
import { Socket } from 'phoenix';
import { io } from 'socket.io-client';
import { createClient } from 'tidegate';
import { WebSocket } from 'ws';

/** Starts a client against a port; the answer tells whether it has given up. */
export const CLIENTS = {
  tidegate(port) {
    let tokens = 0;
    const getToken = () => `token ${++tokens}`;
    const webSocket = (url, protocols) => new WebSocket(url, protocols);
    const client = createClient({ url: `ws://127.0.0.1:${port}/ws`, getToken, webSocket });
    client.subscribe('scalp', 'BTCUSDT', () => {});
    return () => client.connection.state === 'blocked';
  },

  centrifuge(port) {
    const client = new Centrifuge(`ws://127.0.0.1:${port}`, { websocket: WebSocket, token: 'token' });
    client.on('error', () => {});
    client.connect();
    return () => client.state === 'disconnected';
  },

  // One transport, so that a dial is a dial: by default it asks over HTTP first.
  'socket.io-client'(port) {
    const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'] });
    return () => !socket.active;
  },

  phoenix(port) {
    const socket = new Socket(`ws://127.0.0.1:${port}/socket`, { transport: WebSocket });
    socket.connect();
    return () => false;
  },

  partysocket(port) {
    new PartySocket(`ws://127.0.0.1:${port}`, [], { WebSocket });
    return () => false;
  },
};
