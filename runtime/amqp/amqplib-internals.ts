/**
 * What amqplib 2.3 needs beyond its public interface. Each function looks first whether amqplib is built as expected.
 * If not, it does nothing: everything works without these, one turn of the event loop slower and less guarded.
 */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Channel, ChannelModel } from 'amqplib';

interface ChannelInternals {
  ch?: number;
  onBufferDrain?: () => void;
  connection?: { stream?: Duplex; channels?: ({ buffer: FrameBuffer } | null)[] };
}

interface FrameBuffer {
  write(frame: Buffer): boolean;
  end(): void;
}

/** The socket under a connection: amqplib ends it but never destroys it, and does not hear a bare 'close'. */
export function socketOf(model: ChannelModel): Duplex | undefined {
  return (model as unknown as ChannelInternals).connection?.stream;
}

/**
 * Writes the channel's frames to the socket within the call that sends them. amqplib pipes every channel but 0
 * through a PassThrough stream, which it reads on a later turn (setImmediate in lib/mux.js): each ack and publish waits
 * for that turn. Call this when no frame is on its way, that is, after the answer to an RPC.
 */
export function writeThrough(channel: Channel) {
  const { ch, connection, onBufferDrain } = channel as unknown as ChannelInternals;
  const socket = connection?.stream;
  const slot = ch === undefined ? undefined : connection?.channels?.[ch];
  if (!socket || !slot || typeof slot.buffer?.write !== 'function' || typeof onBufferDrain !== 'function')
    return;
  const piped = slot.buffer;
  const onDrain = onBufferDrain.bind(channel);
  socket.on('drain', onDrain);
  slot.buffer = {
    write: socket.write.bind(socket),
    end() {
      socket.off('drain', onDrain);
      piped.end();
    },
  };
}

const require = createRequire(import.meta.url);
let guarded = false;

/**
 * Adds a first 'error' listener to every connection. When a server closes a connection right after opening it, amqplib
 * emits 'error' before anyone can listen (lib/connection.js reads on before it hands the connection out), and the
 * process would end. The failure still shows, at the connection's first use.
 */
export function guardHandshakes() {
  if (guarded) return;
  guarded = true;
  try {
    const { Connection } = require(join(dirname(require.resolve('amqplib')), 'lib', 'connection.js'));
    const { open } = Connection.prototype;
    Connection.prototype.open = function openGuarded(this: NodeJS.EventEmitter, ...args: unknown[]) {
      this.on('error', () => {});
      return open.apply(this, args);
    };
  } catch {
    // Another amqplib, laid out otherwise.
  }
}
