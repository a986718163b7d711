/** How a result may be encoded: the options of every format, their bounds, and which format takes which. */
import { z } from 'zod';
import { colourText } from '../filter-params.ts';

export const OUTPUT_FORMATS = ['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

interface FormatFacts {
  extension: string;
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
}

export const FORMATS: Readonly<Record<OutputFormat, FormatFacts>> = {
  jpeg: {
    extension: 'jpg',
    contentType: 'image/jpeg',
    maxSide: 65_535,
    deep: false,
    alpha: false,
    options: ['progressive', 'mozjpeg', 'chromaSubsampling', 'background'],
  },
  png: {
    extension: 'png',
    contentType: 'image/png',
    maxSide: 2_147_483_647,
    deep: true,
    alpha: true,
    options: ['progressive', 'compressionLevel', 'palette', 'colours', 'dither', 'effort'],
    efforts: [1, 10],
  },
  webp: {
    extension: 'webp',
    contentType: 'image/webp',
    maxSide: 16_383,
    deep: false,
    alpha: true,
    options: ['lossless', 'alphaQuality', 'smartSubsample', 'effort'],
    efforts: [0, 6],
  },
  avif: {
    extension: 'avif',
    contentType: 'image/avif',
    maxSide: 16_384,
    deep: false,
    alpha: true,
    options: ['lossless', 'chromaSubsampling', 'effort'],
    efforts: [0, 9],
  },
  tiff: {
    extension: 'tiff',
    contentType: 'image/tiff',
    maxSide: 2_147_483_647,
    deep: true,
    alpha: true,
    options: ['compression'],
  },
  gif: {
    extension: 'gif',
    contentType: 'image/gif',
    maxSide: 65_535,
    deep: false,
    alpha: true,
    options: ['colours', 'dither', 'effort'],
    efforts: [1, 10],
  },
};

/** Options that mean something to PNG only beside `palette: true`. */
export const PALETTE_OPTIONS = ['colours', 'dither', 'effort'] as const;

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
  if (format === 'png' && encoding.palette !== true && PALETTE_OPTIONS.some((option) => option === key))
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
