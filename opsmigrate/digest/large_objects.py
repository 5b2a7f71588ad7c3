"""Large objects, as lines that a digest can be made of: oid, number of the chunk, its bytes."""

from hashlib import blake2b

from opsmigrate.digest.lines import Sum, TableDigest

CHUNK_BYTES = 16384

# The same lines that ChunkSum makes. A descriptor is closed as soon as the size is known: a
# transaction that holds many of them gets slow. 262144 is INV_READ (documentation of lo_open).
CHUNKS = f"""(SELECT objects.oid, chunk,
       encode(lo_get(objects.oid, chunk * {CHUNK_BYTES}, {CHUNK_BYTES}), 'hex')
FROM (SELECT oid, size FROM (
        SELECT oid, lo_lseek64(descriptor, 0, 2) AS size, lo_close(descriptor) AS closed
        FROM (SELECT oid, lo_open(oid, 262144) AS descriptor
              FROM pg_largeobject_metadata OFFSET 0) AS opened OFFSET 0) AS seen
      WHERE closed = 0 OFFSET 0) AS objects,
     LATERAL generate_series(0, greatest(size - 1, 0) / {CHUNK_BYTES}) AS chunk)"""  # noqa: S608 - constants


class ChunkSum:
    """The digest of large objects, from their bytes in pieces of any size."""

    def __init__(self) -> None:
        self._sum = Sum()
        self._oid = 0
        self._chunk = 0
        self._rest = b""

    def begin(self, oid: int) -> "ChunkSum":
        """Begin an object."""
        self._oid, self._chunk, self._rest = oid, 0, b""
        return self

    def add(self, piece: bytes) -> None:
        """Add the next bytes of the object."""
        self._rest += piece
        while len(self._rest) > CHUNK_BYTES:
            self._hash(self._rest[:CHUNK_BYTES])
            self._rest = self._rest[CHUNK_BYTES:]

    def end(self) -> None:
        """End the object; an empty one has one empty chunk."""
        self._hash(self._rest)

    def result(self) -> TableDigest:
        """Return the digest, its rows being the chunks of all objects."""
        return self._sum.result()

    def _hash(self, chunk: bytes) -> None:
        line = f"{self._oid}\t{self._chunk}\t{chunk.hex()}".encode()
        self._sum.add_hash(blake2b(line).digest())
        self._chunk += 1
