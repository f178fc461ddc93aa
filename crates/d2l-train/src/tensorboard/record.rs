//! TFRecord framing: length, its checksum, the bytes, their checksum.

/// `bytes` as a record: `u64` length, `u32` checksum of the length, the bytes, `u32` checksum of the bytes, all
/// little-endian.
pub(super) fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(bytes.len() + 16);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(bytes);
    record.extend(masked(crc32c(bytes)).to_le_bytes());
    record
}

/// TFRecord's mask, which keeps a checksum of checksums from being weak.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), the bits of each byte from the lowest.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |crc: u32, byte: &u8| {
        let index = (crc as u8 ^ byte) as usize;
        TABLE.get(index).copied().unwrap_or(0) ^ (crc >> 8)
    };
    !bytes.iter().fold(!0, step)
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the CRC catalogue, and those of RFC 3720, appendix B.4.
    #[test]
    fn checksums_are_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_record_has_twelve_bytes_before_and_four_behind() {
        let record = record(b"abc");
        assert_eq!(
            (record.len(), &record[..8], &record[12..15]),
            (19, &[3, 0, 0, 0, 0, 0, 0, 0][..], &b"abc"[..])
        );
    }
}
