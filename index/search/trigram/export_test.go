package trigram

import "encoding/binary"

// Sealed makes data a descriptor with the right version and checksum, so that fuzzing gets behind them.
func Sealed(data []byte) []byte {
	sealed := append([]byte{Version}, data...)
	return binary.LittleEndian.AppendUint32(sealed, castagnoli(sealed))
}
