/** All scenarios, in the order in which they run. */
import type { Scenario } from '../support/scenario.ts';
import { drain } from './drain.ts';
import { duplicates } from './duplicates.ts';
import { failpoints } from './failpoints.ts';
import { kills } from './kills.ts';
import { sigterms } from './sigterms.ts';

export const SCENARIOS: Scenario[] = [kills, failpoints, sigterms, drain, duplicates];
