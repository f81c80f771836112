"""Facts x templates -> queries, one relation at a time, so that memory follows the largest relation, not the benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rml_lama.builders.base import Rewrite
from rml_lama.records import OBJECT, Fact, Query, Template

__all__ = ["queries"]


NO_REWRITES: Mapping[tuple[str, str], Rewrite] = {}


def queries(
    facts: Iterable[Fact],
    language: str,
    templates: Mapping[tuple[str, str], Sequence[Template]],
    rewrites: Mapping[tuple[str, str], Rewrite] = NO_REWRITES,
) -> Iterator[Query]:
    """Every phrasing of every fact that is labelled in the language, in the order of the facts, then of the phrasings.

    A query that a model has mended (`rewrites`, by fact and template id) stands in place of the plainly filled one.
    """
    for fact in facts:
        if language in fact.labels:
            made = _fact_queries(fact, language, templates.get((language, fact.relation), ()))
            yield from (_mended(query, rewrites) for query in made) if rewrites else made


def _mended(query: Query, rewrites: Mapping[tuple[str, str], Rewrite]) -> Query:
    rewrite = rewrites.get((query.fact_id, query.template_id))
    if rewrite is None:
        return query
    prompt, _, suffix = rewrite.cloze.partition(OBJECT)
    return replace(
        query,
        prompt=prompt,
        suffix=suffix,
        cloze=rewrite.cloze,
        provenance=rewrite.provenance,
        prompt_version=rewrite.prompt_version,
        ledger_key=rewrite.ledger_key,
    )


def _fact_queries(fact: Fact, language: str, templates: Sequence[Template]) -> Iterator[Query]:
    subject, answer = fact.labels[language]
    fact_id, answers = fact.fact_id, fact.answers[language]
    answer_in_subject = answer.casefold() in subject.casefold()
    for template in templates:
        prompt, suffix = template.split(subject)
        template_id = template.template_id
        yield Query(
            query_id=f"{template_id}-{fact_id}",
            fact_id=fact_id,
            relation=fact.relation,
            language=language,
            template_id=template_id,
            subject=subject,
            prompt=prompt,
            suffix=suffix,
            cloze=f"{prompt}[Y]{suffix}",
            answer=answer,
            answers=answers,
            causal=template.causal,
            single_answer=fact.single_answer,
            answer_in_subject=answer_in_subject,
            parallel=fact.parallel,
            source=fact.source,
            license=fact.license,
            provenance=template.provenance,
            prompt_version=template.prompt_version,
            ledger_key=template.ledger_key,
        )
