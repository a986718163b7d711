/** Keys that try to leave their storage, and good ones that only look as if they did. */
import { words } from '../../support/words.ts';

/** They aim at `secret` and `outside/secret` beside the root; `@` is the parent of the root. */
export const REFUSED_KEYS = [
  // up
  ...words(`
    .. ../ ../secret ../outside/secret ../../secret ../../../../../../../../etc/passwd a/.. a/../..
    a/../../secret a/b/../../../secret ./secret . ./ ./.. ./../secret a/. a/./b a/./../../secret
    a/..//..//secret ..//secret ../root/../secret a/../b photos/../../secret photos/.. .../secret
    ..../secret
  `),
  '.. /secret',
  '. ./../secret',
  ' ../secret',
  'a/ ..',
  ' ',
  '  /x',
  '. .',
  '.. .',
  'a/. /b',
  'a/.../b',
  'a/. . ./b',
  // absolute
  ...words(`
    / // /secret /etc/passwd //etc/passwd ///etc/passwd @/secret @/outside/secret /.. /../secret /./secret
    /proc/self/environ /dev/stdin /proc/self/fd/0 //host/share/x /a
  `),
  // drives, shares and devices of Windows
  ...words(
    'C: C:/secret c:secret C:\\secret Z:/.. \\\\host\\share\\x \\\\?\\C:\\x \\\\.\\pipe\\x \\secret \\',
  ),
  // backslashes
  ...words(`
    ..\\secret ..\\..\\secret a\\..\\..\\secret a/..\\../secret ..\\/secret .\\secret a\\b a\\ a/\\../b
    \\..\\secret
  `),
  // NUL and other control characters
  '\0',
  'a\0',
  'a\0.png',
  '../secret\0.png',
  '\0../secret',
  'a\n',
  '\na',
  'a\r\nb',
  'a\tb',
  '..\n/secret',
  '.\0./secret',
  'a/\x01',
  'a\x7f',
  '\x1b[2J',
  'a\x85b',
  'a\u2028b',
  'a\u2029b',
  '..\t/secret',
  '\x08../secret',
  // empty parts
  '',
  ...words('a//b a/ a// //a photos//cat.jpg a///b'),
  'a/ /b',
  // too long, not text
  'a'.repeat(256),
  `${'a/'.repeat(500)}a`,
  `${'../'.repeat(300)}secret`,
  'ä'.repeat(128),
  `${'x'.repeat(250)}/${'y'.repeat(256)}`,
  '\ud800',
  'a/\udfff',
  '\udc00\ud800',
  '..\ud800/secret',
];

/** Good keys that look bad: they are names like any other and stay inside. */
export const LITERAL_KEYS = [
  ...words(`
    %2e%2e/secret %2e%2e%2fsecret ..%2fsecret ..%5csecret %252e%252e/secret %c0%ae%c0%ae/secret %00
    ~/secret ~root/secret $HOME/secret
  `),
  '`id`',
  ...words(`
    $(id) -rf --help * ? ..secret ...secret secret.. a..b ．．/secret ‥/secret ․․/secret ..∕secret ..⁄secret
    。。/secret proc/self/environ etc/passwd file:/secret {a,b} a;b a|b a&b # a?b=c
  `),
];
