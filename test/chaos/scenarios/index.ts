/** All scenarios, in the order in which they run. */
import type { Scenario } from '../support/scenario.ts';
import { duplicates } from './duplicates.ts';
import { failpoints } from './failpoints.ts';
import { kills } from './kills.ts';

export const SCENARIOS: Scenario[] = [kills, failpoints, duplicates];
