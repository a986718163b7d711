/** How a publish can end without the broker's confirmation, one class per thing the caller has to do next. */

/** The broker took the message but no queue wanted it (mandatory return). It is not stored: choose another key. */
export class Unroutable extends Error {
  override readonly name = 'Unroutable';
}

/** Sent, but the answer never came (connection or channel lost, or too slow): publish again, a copy may exist. */
export class PublishUnknown extends Error {
  override readonly name = 'PublishUnknown';
}

/** Never sent, because no connection came in time or too much was waiting: publish again, no copy exists. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
}

/** The broker closed the channel over this very message (no such exchange, too large, no right): do not repeat it. */
export class PublishRefused extends Error {
  override readonly name = 'PublishRefused';
}
