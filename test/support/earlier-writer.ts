import { decodeTensors, encodeTensors } from '../../shared/storage/safetensors.ts';

/** The bytes as an earlier version wrote them, before the content had a field. */
export function withoutField(bytes: Uint8Array, field: string): Uint8Array {
  const { tensors, metadata } = decodeTensors(bytes, 'written');
  const { [field]: _, ...content } = JSON.parse(metadata.attune!);
  return encodeTensors({ tensors, metadata: { ...metadata, attune: JSON.stringify(content) } });
}
