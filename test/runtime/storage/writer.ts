/**
 * A process that writes objects to a folder until it is killed, or one object of a given size; each object starts
 * with the SHA-256 of the rest. Usage: `node writer.ts FOLDER forever | once BYTES`
 */
import { createHash, randomBytes } from 'node:crypto';
import { asError } from '../../../runtime/errors.ts';
import { openStorage } from '../../../runtime/storage/open.ts';

const [folder, mode, size = '0'] = process.argv.slice(2);
const storage = await openStorage(folder);

if (mode === 'once') {
  await storage.write('object', Buffer.alloc(Number(size))).catch((error: unknown) => {
    console.log(
      JSON.stringify({ ...asError(error), name: asError(error).name, message: asError(error).message }),
    );
  });
} else {
  for (let turn = 0; ; turn++) {
    const body = randomBytes(1 + Math.floor(Math.random() * 1_000_000));
    const bytes = Buffer.concat([createHash('sha256').update(body).digest(), body]);
    await storage.write(`out/${turn % 3}/photo.png`, bytes);
    await storage.remove(`out/new-${turn % 5}`);
    await storage.write(`out/new-${turn % 5}`, bytes, { ifAbsent: true });
    {
      await using staged = storage.stage(`out/staged-${turn % 2}`, bytes);
      if (turn % 4 > 0) await staged.commit();
    }
    if (turn === 0) console.log('writing');
  }
}
