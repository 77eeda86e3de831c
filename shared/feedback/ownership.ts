import { userKey } from '../config/user-key.ts';

/**
 * Whether a message belongs to a user: by its group or, because a sender can choose another group,
 * by its body. A body without a readable user belongs to everyone whose id it contains.
 */
export function isMessageOf(
  userId: string,
  { groupId, body }: { readonly groupId?: string | undefined; readonly body: string },
): boolean {
  if (groupId === userKey(userId)) return true;
  const owner = ownerOf(body);
  if (owner !== undefined) return owner === userId;
  const quoted = JSON.stringify(userId);
  // Inside an envelope the event is a string of JSON, whose quotes are escaped.
  return body.includes(quoted) || body.includes(JSON.stringify(quoted).slice(1, -1));
}

function ownerOf(body: string): string | undefined {
  try {
    const { userId } = Object(JSON.parse(body));
    return typeof userId === 'string' ? userId : undefined;
  } catch {
    return undefined;
  }
}
