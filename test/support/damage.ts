import { decodeTensors, encodeTensors } from '../../shared/storage/safetensors.ts';

/** Kinds of damage to the bytes of an object. */
export const DAMAGES = {
  'one bit flipped': (bytes: Uint8Array) => {
    const copy = new Uint8Array(bytes);
    copy[Math.floor(copy.length / 2)]! ^= 1;
    return copy;
  },
  truncated: (bytes: Uint8Array) => new Uint8Array(bytes).slice(0, Math.floor(bytes.length / 2)),
  emptied: () => new Uint8Array(),
  /** Of basis, population model or adapter: as an earlier release meets it after a rollback. */
  'written by a later release': (bytes: Uint8Array) => {
    const { tensors, metadata } = decodeTensors(bytes, 'of this release');
    return encodeTensors({ tensors, metadata: { ...metadata, formatVersion: '99' } });
  },
} as const;
export type DamageName = keyof typeof DAMAGES;
export const DAMAGE_NAMES = Object.keys(DAMAGES) as DamageName[];
