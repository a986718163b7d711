/** What most scenarios begin with: a plant, the kinds of task, and one crew that works on them. */

import { openPlant, type Plant, type PlantOptions } from './installation.ts';
import type { Random } from './random.ts';
import { FILTERS, type Kind, prepareKinds } from './tasks.ts';
import type { Crew } from './worker-processes.ts';

export interface Shop extends AsyncDisposable {
  plant: Plant;
  crew: Crew;
  kinds: Kind[];
}

/** `perFilter` workers for each of the three filters; ready when this resolves. */
export async function openResources(options: PlantOptions, random: Random, perFilter = 1): Promise<Shop> {
  const plant = await openPlant(options);
  try {
    const kinds = await prepareKinds(plant, random);
    const crew = plant.crew(oneFilterEach(perFilter));
    await crew.ready();
    return { plant, crew, kinds, [Symbol.asyncDispose]: () => plant[Symbol.asyncDispose]() };
  } catch (error) {
    await plant[Symbol.asyncDispose]();
    throw error;
  }
}

export function oneFilterEach(perFilter: number) {
  return Array.from({ length: perFilter }, () => FILTERS.map((filter) => ({ filters: [filter] }))).flat();
}
