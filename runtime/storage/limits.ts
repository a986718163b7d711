/** The one refusal that all kinds of input share. */
import { Rejection } from '../errors.ts';

/** @param size in words, such as `30000000 bytes` */
export function tooLarge(name: string, size: string, maxBytes: number): Rejection {
  return new Rejection(`"${name}" has ${size}, over the limit of ${maxBytes} bytes.`, {
    failureType: 'limit-exceeded',
  });
}
