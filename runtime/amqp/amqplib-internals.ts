/**
 * The places where amqplib 2.3's public interface is not enough. Each looks before it touches: with another amqplib
 * inside, everything still works, only later by a turn of the event loop and without these guards.
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
 * Makes the channel's frames go to the socket within the call that sends them. amqplib pipes every channel but 0
 * through a PassThrough stream that is read on a later turn (setImmediate in lib/mux.js), which costs an ack or a
 * publish that turn. Call it when no frame is on its way, that is, after the answer to an RPC.
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
 * A server that closes the connection in the same breath as it opens it makes amqplib emit 'error' before anyone can
 * have listened (lib/connection.js reads on before it hands the connection out), which would end the process. This
 * adds a first listener to every connection; what happened shows at its first use.
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
    // Another layout, another amqplib: nothing to guard.
  }
}
