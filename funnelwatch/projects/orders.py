"""Erasures as every node finds them: what is to go from its spool, and each node's word that it went."""

from django.db import models

from funnelwatch.core import clock


class ErasureOrder(models.Model):
    """Erase some people or a time range. One of `people` and the two times is given.

    `people` are ids as spooled, hashed once more: what was asked for may be the shop's own id, which is kept nowhere.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE)
    at = models.DateTimeField(default=clock.now, db_index=True)
    people = models.JSONField(default=list)
    from_ms = models.BigIntegerField(null=True)
    to_ms = models.BigIntegerField(null=True)


class ErasureAnswer(models.Model):
    """A node has emptied its spool of an order's events; `events` lay there."""

    order = models.ForeignKey(ErasureOrder, on_delete=models.CASCADE, related_name="answers")
    node = models.CharField(max_length=32)
    events = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "node"], name="one_answer_a_node")]
