/** Tells an image's format by its first bytes, before anything decodes them. */

/** The formats that are accepted; SVG only where it is allowed. */
export type SniffedFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'tiff' | 'gif' | 'svg';

/** Formats that people send and that are not accepted, so that the refusal can name them. */
type RefusedFormat =
  | 'HEIC'
  | 'JPEG XL'
  | 'JPEG 2000'
  | 'BMP'
  | 'PDF'
  | 'Photoshop'
  | 'icon'
  | 'HTML'
  | 'gzip';

export type Sniffed = { format: SniffedFormat } | { refused: RefusedFormat | undefined };

/** Bytes that are looked at; an SVG may open with a declaration and a comment. */
const SNIFFED_BYTES = 1024;

/** The format of a file's bytes: an accepted one, or the name of a refused one where it is known. */
export function sniff(bytes: Buffer): Sniffed {
  const brands = isoBrands(bytes);
  if (brands !== undefined) return sniffBrands(brands);
  for (const [format, test] of ACCEPTED) if (test(bytes)) return { format };
  return { refused: REFUSED.find(([, signature]) => startsWith(bytes, signature))?.[0] };
}

const ACCEPTED: readonly [SniffedFormat, (bytes: Buffer) => boolean][] = [
  ['jpeg', (bytes) => startsWith(bytes, [0xff, 0xd8, 0xff])],
  ['png', (bytes) => startsWith(bytes, [0x89, 'PNG\r\n', 0x1a, 0x0a])],
  ['gif', (bytes) => startsWith(bytes, ['GIF87a']) || startsWith(bytes, ['GIF89a'])],
  ['webp', (bytes) => startsWith(bytes, ['RIFF']) && bytes.toString('latin1', 8, 12) === 'WEBP'],
  ['tiff', isTiff],
  ['svg', isSvg],
];

const REFUSED: readonly [RefusedFormat, readonly (string | number)[]][] = [
  ['JPEG XL', [0xff, 0x0a]],
  ['JPEG XL', [0, 0, 0, 0x0c, 'JXL ']],
  ['JPEG 2000', [0, 0, 0, 0x0c, 'jP  ']],
  ['JPEG 2000', [0xff, 0x4f, 0xff, 0x51]],
  ['BMP', ['BM']],
  ['PDF', ['%PDF']],
  ['Photoshop', ['8BPS']],
  ['icon', [0, 0, 1, 0]],
  ['HTML', ['<!DOCTYPE html']],
  ['HTML', ['<html']],
  ['gzip', [0x1f, 0x8b]],
];

function startsWith(bytes: Buffer, signature: readonly (string | number)[]): boolean {
  const expected = Buffer.concat(
    signature.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))),
  );
  return bytes.subarray(0, expected.length).equals(expected);
}

/** Classic and BigTIFF, in both byte orders. */
function isTiff(bytes: Buffer): boolean {
  return [
    ['II', 0x2a, 0],
    ['II', 0x2b, 0],
    ['MM', 0, 0x2a],
    ['MM', 0, 0x2b],
  ].some((signature) => startsWith(bytes, signature));
}

function isSvg(bytes: Buffer): boolean {
  const head = bytes.toString('utf8', 0, SNIFFED_BYTES).replace(/^\uFEFF?\s*/, '');
  return head.startsWith('<') && /<svg[\s>]/.test(head);
}

/** The brands of an ISO media file (AVIF, HEIC), major brand first; undefined when it is none. */
function isoBrands(bytes: Buffer): string[] | undefined {
  if (bytes.length < 16 || bytes.toString('latin1', 4, 8) !== 'ftyp') return undefined;
  const end = Math.min(bytes.readUInt32BE(0), bytes.length, SNIFFED_BYTES);
  const brands = [bytes.toString('latin1', 8, 12)];
  for (let at = 16; at + 4 <= end; at += 4) brands.push(bytes.toString('latin1', at, at + 4));
  return brands;
}

function sniffBrands(brands: readonly string[]): Sniffed {
  if (brands.includes('avif') || brands.includes('avis')) return { format: 'avif' };
  const heic = brands.some((brand) => /^(?:hei[cxms]|hev[cxms]|mif1|msf1)$/.test(brand));
  return { refused: heic ? 'HEIC' : undefined };
}
