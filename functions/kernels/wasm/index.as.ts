/** Everything the compiled module exports. It owns no memory: callers place tiles in it and name addresses. */
export { blurBytes, blurFloats, grow, shrink } from './blur.as';
export {
  bytesFromFloats, extendRows, floatsFromBytes, floatsFromWords, mirrorRows, premultiply, unpremultiply,
  wordsFromFloats,
} from './samples.as';
export { canny } from './canny.as';
export { laplacian, sobel } from './edges.as';
export { turn } from './rotate.as';
export { blend, greyInPlace, luma, lumaRows, smooth, sum, unsharp } from './tone.as';
