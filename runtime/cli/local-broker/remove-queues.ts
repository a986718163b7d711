/** Removes the queues of a demo that died, from a broker that was there before it. */
import { readConfig } from '../../config.ts';
import { deleteAll, withBroker } from '../session.ts';

const config = readConfig();
await withBroker(config, (broker) => deleteAll(broker, config));
