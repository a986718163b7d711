/** One call or more of every filter that makes an image, for what must hold for all of them. */
import type { Image } from '../../runtime/filter.ts';
import { imageOf } from './filters.ts';
import { picture } from './pictures.ts';

interface Call {
  filter: string;
  params: Record<string, unknown>;
  /** Levels of 255 by which a result may differ when the same image is stored turned. */
  turnedWithin: number;
}

/** The watermark's second image. */
export const MARKS: Record<string, Image> = { mark: imageOf(picture({ channels: 4, bits: 8 }, 9, 7)) };

export const CALLS: Call[] = [
  { filter: 'convert', params: {}, turnedWithin: 0 },
  // Resizing is done before the image is turned upright, so rounding may differ by a level or two.
  { filter: 'resize', params: { width: 16, height: 16 }, turnedWithin: 3 },
  { filter: 'resize', params: { width: 50, enlarge: true, fit: 'inside' }, turnedWithin: 3 },
  {
    filter: 'resize',
    params: { width: 20, height: 40, fit: 'contain', background: '#336699' },
    turnedWithin: 3,
  },
  {
    filter: 'resize',
    params: { width: 20, height: 40, fit: 'contain', background: 'transparent' },
    turnedWithin: 3,
  },
  { filter: 'resize', params: { width: 11, height: 22, fit: 'fill' }, turnedWithin: 3 },
  { filter: 'resize', params: { width: 12, height: 20, position: 'northwest' }, turnedWithin: 3 },
  { filter: 'blur', params: { radius: 2.5 }, turnedWithin: 0 },
  { filter: 'brightness', params: { factor: 1.37 }, turnedWithin: 0 },
  { filter: 'brightness', params: { factor: 0.41 }, turnedWithin: 0 },
  { filter: 'contrast', params: { factor: 1.6 }, turnedWithin: 0 },
  { filter: 'saturation', params: { factor: 0.3 }, turnedWithin: 0 },
  { filter: 'grayscale', params: {}, turnedWithin: 0 },
  { filter: 'sharpen', params: { factor: 2 }, turnedWithin: 0 },
  { filter: 'sharpen', params: { radius: 1.5, amount: 120, threshold: 2 }, turnedWithin: 0 },
  { filter: 'edges', params: { low: 30, high: 60 }, turnedWithin: 0 },
  { filter: 'edges', params: { method: 'sobel' }, turnedWithin: 0 },
  { filter: 'edges', params: { method: 'laplacian' }, turnedWithin: 0 },
  { filter: 'rotate', params: { angle: 90 }, turnedWithin: 0 },
  { filter: 'rotate', params: { angle: 180 }, turnedWithin: 0 },
  { filter: 'rotate', params: { angle: -270 }, turnedWithin: 0 },
  { filter: 'rotate', params: { angle: 33 }, turnedWithin: 0 },
  { filter: 'rotate', params: { angle: 33, background: 'transparent' }, turnedWithin: 0 },
  { filter: 'flip', params: { direction: 'horizontal' }, turnedWithin: 0 },
  { filter: 'flip', params: { direction: 'vertical' }, turnedWithin: 0 },
  { filter: 'flip', params: { direction: 'both' }, turnedWithin: 0 },
  { filter: 'crop', params: { left: 5, top: 3, width: 20, height: 11 }, turnedWithin: 0 },
  { filter: 'crop', params: { left: 10, top: 20, width: 50, unit: 'percent' }, turnedWithin: 0 },
  { filter: 'watermark', params: { image: 'mark', opacity: 0.6, margin: 2 }, turnedWithin: 0 },
  { filter: 'watermark', params: { image: 'mark', tile: true, scale: 0.2 }, turnedWithin: 0 },
];
