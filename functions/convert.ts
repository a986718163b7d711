import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { checkEncoding, encodingShape } from '../runtime/image/formats.ts';

export default defineFilter({
  summary: 'Changes nothing but how the result is encoded: its format, quality and options.',
  cost: 'light',
  params: z.strictObject(encodingShape).superRefine(checkEncoding),
  apply: (image) => image.pipeline(),
  encoding: (params) => params,
});
