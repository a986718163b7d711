/** A bare amqplib consumer: `bare-consumer.ts QUEUE EXCHANGE KEY`. For each message it publishes one with a confirm, then acknowledges. */
import { connect } from 'amqplib';

const [queue, exchange, key] = process.argv.slice(2) as [string, string, string];
const connection = await connect(process.env.AMQP_URL!, { noDelay: true });
const incoming = await connection.createChannel();
const outgoing = await connection.createConfirmChannel();
await incoming.prefetch(1);
await incoming.consume(queue, (message) => {
  if (message === null) return;
  outgoing.publish(exchange, key, message.content, { persistent: true }, () => incoming.ack(message));
});
for await (const _ of process.stdin);
process.exit();
