/** An installation whose storage holds one photo, and the steps that most journeys take. */
import sharp from 'sharp';
import { type Installation, startInstallation } from '../../support/installation.ts';

export const THREE_STEPS = [
  { filter: 'resize', params: { width: 64, height: 48 } },
  { filter: 'blur', params: { radius: 2 } },
  { filter: 'brightness', params: { factor: 1.2 } },
];

export function photo(width = 200, height = 150): Promise<Buffer> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 60 };
  return sharp({ create: { width, height, channels: 3, background: '#336699', noise } })
    .jpeg()
    .toBuffer();
}

export async function withPhoto(options?: Parameters<typeof startInstallation>[0]): Promise<Installation> {
  const installation = await startInstallation(options);
  await installation.put('photos/cat.jpg', await photo());
  return installation;
}
