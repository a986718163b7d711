/** Finds a broker, tells it as one line of JSON, and then waits: for broker.test.ts, which kills it. */
import { findBroker } from '../../../runtime/cli/broker.ts';
import { asError } from '../../../runtime/errors.ts';

const progress: string[] = [];
try {
  const { way, amqpUrl } = await findBroker({
    allowInstall: false,
    onProgress: (text) => progress.push(text),
  });
  console.log(JSON.stringify({ way, amqpUrl, progress }));
  process.on('SIGINT', () => process.exit(130));
  setInterval(() => {}, 1_000);
} catch (error) {
  console.log(JSON.stringify({ error: asError(error).message, progress }));
}
