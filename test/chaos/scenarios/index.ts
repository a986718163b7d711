/** All scenarios, in the order in which they run. */
import type { Scenario } from '../support/scenario.ts';
import { alarms } from './alarms.ts';
import { cuts } from './cuts.ts';
import { drain } from './drain.ts';
import { duplicates } from './duplicates.ts';
import { failpoints } from './failpoints.ts';
import { fences } from './fences.ts';
import { hostile } from './hostile.ts';
import { kills } from './kills.ts';
import { letters } from './letters.ts';
import { messages } from './messages.ts';
import { model } from './model.ts';
import { refusals } from './refusals.ts';
import { restarts } from './restarts.ts';
import { sameId } from './same-id.ts';
import { secrets } from './secrets.ts';
import { sigterms } from './sigterms.ts';
import { soak } from './soak.ts';
import { storage } from './storage.ts';
import { takenBack } from './taken-back.ts';

export const SCENARIOS: Scenario[] = [
  kills,
  failpoints,
  sigterms,
  drain,
  restarts,
  cuts,
  alarms,
  storage,
  takenBack,
  refusals,
  duplicates,
  sameId,
  hostile,
  messages,
  letters,
  model,
  fences,
  secrets,
  soak,
];
