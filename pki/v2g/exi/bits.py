"""
Bit-packed octets, most significant bit first.

A reader never takes memory for more than what the stream still holds: every length is compared
with the bits left before anything is made of it.
"""

from __future__ import annotations

from typing import Final

from pki.errors import BadInput

_OCTET: Final = 8
_GROUP: Final = 7
_MORE: Final = 0x80
_PADDING_GROUPS: Final = 8
"""Zero groups behind the highest one that counts; encoders in the field write one."""


class BitReader:
    """Reads one stream from its beginning; `position` counts bits."""

    __slots__ = ("_data", "_end", "position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data) * _OCTET
        self.position = 0

    @property
    def left(self) -> int:
        """How many bits are left."""
        return self._end - self.position

    def bits(self, width: int) -> int:
        """Read an unsigned number of `width` bits. Raises BadInput (`exi_truncated`)."""
        begin, end = self.position, self.position + width
        if end > self._end:
            raise self.fault("exi_truncated", "The stream ends inside the message")
        last = (end + 7) >> 3
        self.position = end
        octets = int.from_bytes(self._data[begin >> 3 : last])
        return octets >> (last * _OCTET - end) & ((1 << width) - 1)

    def octets(self, count: int) -> bytes:
        """Read whole octets. Raises BadInput (`exi_length`) where the stream holds fewer."""
        if count * _OCTET > self.left:
            raise self.fault("exi_length", f"A length of {count} exceeds the stream")
        return self.bits(count * _OCTET).to_bytes(count)

    def unsigned(self, limit: int) -> int:
        """
        Read an Unsigned: groups of 7 bits, least significant first; over-long forms are read.

        Args:
            limit: width in bits that the value must not exceed.

        Raises:
            BadInput: `exi_integer` beyond the limit, `exi_truncated`.
        """
        value = shift = 0
        longest = limit + _PADDING_GROUPS * _GROUP
        while True:
            octet = self.bits(_OCTET)
            value |= (octet & ~_MORE) << shift
            shift += _GROUP
            if value >> limit or shift > longest:
                raise self.fault("exi_integer", f"A number needs more than {limit} bits")
            if octet < _MORE:
                return value

    def fault(self, code: str, what: str) -> BadInput:
        """Return the error for this place."""
        return BadInput(code, f"{what} (bit {self.position}).", data={"bit": self.position})


class BitWriter:
    """Collects bits; `finish` pads with zeros to a whole octet."""

    __slots__ = ("_count", "_octets", "_pending")

    def __init__(self) -> None:
        self._octets = bytearray()
        self._pending = 0
        self._count = 0

    def bits(self, value: int, width: int) -> None:
        """Append `value` in `width` bits; it must fit."""
        total = self._pending << width | value
        whole, rest = divmod(self._count + width, _OCTET)
        if whole:
            self._octets += (total >> rest).to_bytes(whole)
            total &= (1 << rest) - 1
        self._pending, self._count = total, rest

    def octets(self, value: bytes) -> None:
        """Append whole octets, not aligned."""
        self.bits(int.from_bytes(value), len(value) * _OCTET)

    def unsigned(self, value: int) -> None:
        """Append an Unsigned in its shortest form."""
        while value >= _MORE:
            self.bits(value & ~_MORE & 0xFF | _MORE, _OCTET)
            value >>= _GROUP
        self.bits(value, _OCTET)

    def finish(self) -> bytes:
        """Return what was written, padded with zero bits."""
        if self._count:
            self.bits(0, _OCTET - self._count)
        return bytes(self._octets)
