"""Writes FlatBuffers with the stock builder, slot by slot."""

import flatbuffers


class Slots:
    """A FlatBuffer in the making."""

    def __init__(self):
        self.builder = flatbuffers.Builder(0)

    def table(self, count, *fields):
        """A table of `count` slots.

        Args:
            count: Its slots.
            fields: (slot, offset) of a table, vector or string, or (slot, kind, number) with the
                builder's name of the kind. A number 0 is left out, as the builder does.
        """
        b = self.builder
        b.StartObject(count)
        for slot, *value in fields:
            if len(value) == 1:
                b.PrependUOffsetTRelativeSlot(slot, value[0], 0)
            else:
                kind, number = value
                getattr(b, f"Prepend{kind}Slot")(slot, number, 0)
        return b.EndObject()

    def vector(self, offsets):
        """A vector of tables, vectors or strings."""
        b = self.builder
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    def integers(self, values):
        b = self.builder
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependInt32(int(value))
        return b.EndVector()

    def data(self, content):
        return self.builder.CreateByteVector(content)

    def text(self, content):
        return self.builder.CreateString(content)

    def finish(self, root, identifier=None):
        """The FlatBuffer with this root."""
        self.builder.Finish(root, identifier)
        return bytes(self.builder.Output())
