/**
 * The image formats: what each is called, how its files begin, what it can hold, which options it takes and how it
 * is written. Everything else that has to do with formats follows from this table.
 */
import type { Sharp } from 'sharp';
import { z } from 'zod';
import { colourText } from '../filter-params.ts';

export interface ImageFormat {
  /** As people write it. */
  label: string;
  /** Of file names, without a dot; results get the first. */
  extensions: readonly [string, ...string[]];
  /** The first bytes of its files, as Latin-1 with `?` for any byte. */
  signatures: readonly string[];
  /** Where an ISO media file holds it: the brands that say so. */
  brands?: readonly string[];
  /** The library's operation that reads it from memory. */
  loader: string;
}

interface WritableFormat extends ImageFormat {
  contentType: string;
  /** Longest side it can hold, pixels. */
  maxSide: number;
  /** Keeps 16 bits a sample. */
  deep: boolean;
  alpha: boolean;
  /** The options it takes, `format` and `quality` aside. */
  options: readonly string[];
  /** Lowest and highest `effort` it takes, where it takes one. */
  efforts?: readonly [min: number, max: number];
  /** Adds the encoder. The options are those it takes, and `quality` where one is asked for. */
  write(pipeline: Sharp, options: Record<string, unknown>): Sharp;
}

const SIDE_MAX_31_BITS = 2_147_483_647;

/** Options that mean something to PNG only beside `palette: true`. */
const PALETTE_OPTIONS = ['colours', 'dither', 'effort'];

const TABLE = {
  jpeg: {
    label: 'JPEG',
    extensions: ['jpg', 'jpeg'],
    signatures: ['\xff\xd8\xff'],
    loader: 'VipsForeignLoadJpegBuffer',
    contentType: 'image/jpeg',
    maxSide: 65_535,
    deep: false,
    alpha: false,
    options: ['progressive', 'mozjpeg', 'chromaSubsampling', 'background'],
    // Tables fitted to the image would save 5 %, but take longer than all else and hold the whole image again.
    write: (pipeline, options) => pipeline.jpeg({ optimiseCoding: options.mozjpeg === true, ...options }),
  },
  png: {
    label: 'PNG',
    extensions: ['png'],
    signatures: ['\x89PNG\r\n\x1a\n'],
    loader: 'VipsForeignLoadPngBuffer',
    contentType: 'image/png',
    maxSide: SIDE_MAX_31_BITS,
    deep: true,
    alpha: true,
    options: ['progressive', 'compressionLevel', 'palette', ...PALETTE_OPTIONS],
    efforts: [1, 10],
    // Without a palette, any of its options would make the library reduce to one on its own.
    write: (pipeline, options) =>
      pipeline.png(
        options.palette === true ? options : without(options, ['palette', 'quality', ...PALETTE_OPTIONS]),
      ),
  },
  webp: {
    label: 'WebP',
    extensions: ['webp'],
    signatures: ['RIFF????WEBP'],
    loader: 'VipsForeignLoadWebpBuffer',
    contentType: 'image/webp',
    maxSide: 16_383,
    deep: false,
    alpha: true,
    options: ['lossless', 'alphaQuality', 'smartSubsample', 'effort'],
    efforts: [0, 6],
    write: (pipeline, options) => pipeline.webp(options),
  },
  avif: {
    label: 'AVIF',
    extensions: ['avif'],
    signatures: [],
    brands: ['avif', 'avis'],
    loader: 'VipsForeignLoadHeifBuffer',
    contentType: 'image/avif',
    maxSide: 16_384,
    deep: false,
    alpha: true,
    options: ['lossless', 'chromaSubsampling', 'effort'],
    efforts: [0, 9],
    write: (pipeline, options) => pipeline.avif(options),
  },
  tiff: {
    label: 'TIFF',
    extensions: ['tiff', 'tif'],
    // Classic and BigTIFF, in both byte orders.
    signatures: ['II\x2a\0', 'II\x2b\0', 'MM\0\x2a', 'MM\0\x2b'],
    loader: 'VipsForeignLoadTiffBuffer',
    contentType: 'image/tiff',
    maxSide: SIDE_MAX_31_BITS,
    deep: true,
    alpha: true,
    options: ['compression'],
    write: (pipeline, options) =>
      pipeline.tiff({ compression: 'deflate', predictor: 'horizontal', ...options }),
  },
  gif: {
    label: 'GIF',
    extensions: ['gif'],
    signatures: ['GIF87a', 'GIF89a'],
    loader: 'VipsForeignLoadNsgifBuffer',
    contentType: 'image/gif',
    maxSide: 65_535,
    deep: false,
    alpha: true,
    options: ['colours', 'dither', 'effort'],
    efforts: [1, 10],
    write: (pipeline, options) => pipeline.gif(without(options, ['quality'])),
  },
} satisfies Record<string, WritableFormat>;

export type OutputFormat = keyof typeof TABLE;

/** Formats that are read and written. */
export const FORMATS: Readonly<Record<OutputFormat, WritableFormat>> = TABLE;

export const OUTPUT_FORMATS = Object.keys(FORMATS) as [OutputFormat, ...OutputFormat[]];

/** The one format that is read and not written. It is recognized by its text, and read only where that is allowed. */
export const SVG: ImageFormat = {
  label: 'SVG',
  extensions: ['svg'],
  signatures: [],
  loader: 'VipsForeignLoadSvgBuffer',
};

/** The media type of a stored result: an image, or the JSON of a filter that only looks. */
export function contentTypeOf(format: string | undefined): string {
  const known = OUTPUT_FORMATS.find((name) => name === format);
  return known === undefined ? 'application/json' : FORMATS[known].contentType;
}

/** The encoding's parameters, for other schemas to take up. */
export const encodingShape = {
  format: z
    .enum(OUTPUT_FORMATS)
    .optional()
    .describe("Format of the result; the input's own when absent (SVG gives PNG)"),
  quality: z
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe(
      'Quality of JPEG and WebP (default 80), AVIF (50) and TIFF with JPEG compression (80); PNG with a palette takes it as its target; the rest ignore it',
    ),
  progressive: z
    .boolean()
    .optional()
    .describe('JPEG and PNG: appears in passes while loading (default false)'),
  mozjpeg: z.boolean().optional().describe('JPEG: smaller files, several times slower (default false)'),
  chromaSubsampling: z
    .enum(['4:2:0', '4:4:4'])
    .optional()
    .describe('JPEG (default 4:2:0) and AVIF (default 4:4:4): 4:4:4 keeps fine coloured detail'),
  background: colourText.optional().describe('JPEG: the colour behind transparent pixels (default white)'),
  compressionLevel: z.int().min(0).max(9).optional().describe('PNG: 0 is fastest, 9 smallest (default 6)'),
  palette: z.boolean().optional().describe('PNG: reduces to a palette of `colours` (default false)'),
  colours: z
    .int()
    .min(2)
    .max(256)
    .optional()
    .describe('PNG with a palette and GIF: number of colours (default 256)'),
  dither: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('PNG with a palette and GIF: strength of dithering (default 1)'),
  lossless: z.boolean().optional().describe('WebP and AVIF: keeps every sample (default false)'),
  alphaQuality: z
    .int()
    .min(0)
    .max(100)
    .optional()
    .describe('WebP: quality of the transparency (default 100)'),
  smartSubsample: z.boolean().optional().describe('WebP: sharper coloured edges, slower (default false)'),
  effort: z
    .int()
    .min(0)
    .max(10)
    .optional()
    .describe(
      'CPU spent to save bytes: WebP 0–6 (default 4), AVIF 0–9 (4), GIF and PNG with a palette 1–10 (7)',
    ),
  compression: z
    .enum(['none', 'deflate', 'lzw', 'zstd', 'jpeg'])
    .optional()
    .describe('TIFF: deflate (default), lzw, zstd and none are lossless, jpeg is not and takes `quality`'),
};

/** The strict schema of a task's encoding. Options of another format than the one asked for are errors. */
export const encodingSchema = z.strictObject(encodingShape).superRefine(checkEncoding);

/** Adds an issue for every option that would do nothing in the chosen format. Nothing to check without a format. */
export function checkEncoding(encoding: Record<string, unknown>, context: z.core.$RefinementCtx): void {
  const format = OUTPUT_FORMATS.find((known) => known === encoding.format);
  if (format === undefined) return;
  for (const key of Object.keys(encodingShape)) {
    const message = encoding[key] === undefined ? undefined : optionFault(format, key, encoding);
    if (message !== undefined)
      context.addIssue({ code: 'custom', path: [key], message, input: encoding[key] });
  }
}

function optionFault(
  format: OutputFormat,
  key: string,
  encoding: Record<string, unknown>,
): string | undefined {
  const { options, efforts } = FORMATS[format];
  if (key === 'format' || key === 'quality') return undefined;
  if (!options.includes(key)) return `${format} does not take it, only ${formatsWith(key).join(', ')}`;
  if (format === 'png' && encoding.palette !== true && PALETTE_OPTIONS.includes(key))
    return 'png takes it only with a palette; set palette to true as well';
  const { effort } = encoding;
  if (key !== 'effort' || efforts === undefined || typeof effort !== 'number') return undefined;
  const [min, max] = efforts;
  if (effort >= min && effort <= max) return undefined;
  return `expected a whole number from ${min} to ${max} for ${format}, got ${effort}`;
}

function formatsWith(option: string): OutputFormat[] {
  return OUTPUT_FORMATS.filter((format) => FORMATS[format].options.includes(option));
}

function without(options: Record<string, unknown>, names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name)));
}
