/** A publisher as anybody may be one: it may write to the exchange, and nothing else. */
import { type Broker, openBroker } from '../../../runtime/amqp/broker.ts';
import { SILENT_LOG } from '../../../runtime/cli/session.ts';
import { type BrokerUser, brokerUser } from '../../support/broker-user.ts';
import type { TestBroker } from '../../support/rabbit.ts';
import type { AuditedInstallation } from './audited-installation.ts';

export class Outsider implements AsyncDisposable {
  readonly broker: Broker;
  readonly #user: BrokerUser;

  /** From now on the installation's tasks are published by this user. */
  static async admit(installation: AuditedInstallation, node: TestBroker): Promise<Outsider> {
    const user = await brokerUser({ write: `^${installation.names.exchange}$` }, node);
    if (user === undefined) throw new Error('a user needs a management API to be made with');
    const outsider = new Outsider(user, installation);
    installation.publisher = outsider.broker;
    return outsider;
  }

  constructor(user: BrokerUser, { config }: AuditedInstallation) {
    this.#user = user;
    this.broker = openBroker({ ...config.amqp, url: user.amqpUrl, name: 'outsider', log: SILENT_LOG });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.close();
    await this.#user[Symbol.asyncDispose]();
  }
}
