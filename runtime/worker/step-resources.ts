/** What a step works with. */
import type { ImageLimits } from '../image/limits.ts';
import type { Inputs } from '../storage/inputs.ts';
import type { Storage } from '../storage/storage.ts';
import type { WaitingImage } from './carry.ts';
import type { InputRoom } from './input-buffer.ts';

export interface StepResources {
  storage: Storage;
  inputs: Inputs;
  limits: ImageLimits;
  functionsDir: string;
  inputGraceMs: number;
  /** Where the next task's input goes. */
  inputRoom: () => InputRoom;
  /** What the last step has left in memory for the next. */
  waiting: WaitingImage | undefined;
}
