/** The words of a text: a list of short strings, or of a command's arguments, that reads as one line. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
