/**
 * The two places where amqplib 2.3's public interface is not enough. Both look before they touch: with another
 * amqplib inside, everything still works, only later by a turn of the event loop.
 */

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
  const drained = () => onBufferDrain.call(channel);
  socket.on('drain', drained);
  slot.buffer = {
    write: (frame) => socket.write(frame),
    end() {
      socket.off('drain', drained);
      piped.end();
    },
  };
}
