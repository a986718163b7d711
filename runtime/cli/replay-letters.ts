/** Sends the chosen dead letters back to their filters, one by one; what cannot be sent stays where it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '../amqp/broker.ts';
import type { Config } from '../config.ts';
import { listFunctions } from '../functions.ts';
import { openStorage } from '../storage/open.ts';
import type { Storage } from '../storage/storage.ts';
import type { DeadLetter } from './dead-letter.ts';
import { planReplay, type ReplayOptions, sendReplay } from './dead-letter-replay.ts';
import type { DeadLetterSelection } from './dead-letter-selection.ts';
import { eachDeadLetter, type LetterResult } from './dead-letters.ts';
import { ProgressBar } from './progress-bar.ts';
import { ourUsers, withBroker } from './session.ts';
import { escapeControls, note } from './terminal.ts';

export interface ReplayResult {
  /** Those that were sent, or that would be. */
  sent: DeadLetter[];
  /** Those that stay, with the reason. */
  stay: LetterResult[];
  /** Said when workers may not believe whoever sends. */
  warning?: string;
}

export async function replayLetters(
  config: Config,
  selection: DeadLetterSelection & { dryRun?: boolean; rate?: number },
): Promise<ReplayResult> {
  const { prefix, functionsDir } = config;
  const storage = await openStorage(config.storage.url);
  const knownFilters = listFunctions(functionsDir);
  const options: ReplayOptions = { prefix, storage, functionsDir, knownFilters };
  // A refused message ends the connection that it was sent on: not the one that holds the letters.
  return await withBroker(config, (reader) =>
    withBroker(config, (sender) => new Replayer(config, options, sender).replayAll(reader, selection)),
  );
}

class Replayer {
  readonly #config: Config;
  readonly #options: ReplayOptions;
  readonly #sender: Broker;
  readonly #storage: Storage;
  readonly #strangers = new Set<string>();
  #warning: string | undefined;

  constructor(config: Config, options: ReplayOptions, sender: Broker) {
    this.#config = config;
    this.#options = options;
    this.#sender = sender;
    this.#storage = options.storage;
  }

  async replayAll(
    reader: Broker,
    selection: DeadLetterSelection & { dryRun?: boolean; rate?: number },
  ): Promise<ReplayResult> {
    const { prefix } = this.#config;
    const queue = { broker: reader, prefix, isOurUser: ourUsers(this.#config, reader) };
    const bar = new ProgressBar(selection.limit ?? 0, 'replayed');
    let done = 0;
    const results = await eachDeadLetter(queue, selection, async (letter, message) => {
      const replay = await planReplay(letter, message, this.#options);
      if (replay.needsTrust && !this.#isSurelyBelieved(letter)) this.#warn();
      if (letter.of_worker && !letter.believed) this.#tellOf(letter.user);
      if (selection.dryRun === true) return false;
      // It stays a dead letter unless the broker confirms.
      await sendReplay(replay, this.#sender, this.#storage);
      bar.update(++done, letter.id);
      if (selection.rate !== undefined) await sleep(1_000 / selection.rate);
      return true;
    }).finally(() => bar.stop());
    return {
      sent: results.filter(({ fault }) => fault === undefined).map(({ letter }) => letter),
      stay: results.filter(({ fault }) => fault !== undefined),
      ...(this.#warning !== undefined && { warning: this.#warning }),
    };
  }

  /** The workers' own user needs no naming; who wrote the letter is that user, where the letter can be believed. */
  #isSurelyBelieved(letter: DeadLetter): boolean {
    const { user } = this.#sender.state;
    if (user === undefined) return false;
    return (letter.believed && letter.user === user) || this.#config.trustedUsers.includes(user);
  }

  /** Perhaps a worker, and the command does not know its user. */
  #tellOf(user: string | null): void {
    if (user === null || this.#strangers.has(user)) return;
    this.#strangers.add(user);
    const name = escapeControls(user);
    note(
      `Letters of the user "${name}" are not believed here: their tasks start from the first step. If it is the workers’ user, TRUSTED_USERS=${name} lets them go on where they failed.`,
    );
  }

  /** Once, and before anything is sent that may be in vain. */
  #warn(): void {
    if (this.#warning !== undefined) return;
    const { user } = this.#sender.state;
    const otherwise = 'start such a task anew, or only tell its old end once more and drop it.';
    this.#warning =
      user === undefined
        ? `Warning: the broker does not say as which user this command publishes, so workers cannot believe where the tasks stand; they ${otherwise}`
        : `Warning: workers that run as another user believe where these tasks stand only when their TRUSTED_USERS names "${user}"; else they ${otherwise}`;
    note(this.#warning);
  }
}
