"""Facts x templates -> queries, one relation at a time, so that memory follows the largest relation, not the benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rml_lama.records import Fact, Query, Template

__all__ = ["queries"]


def queries(facts: Iterable[Fact], language: str, templates: Mapping[tuple[str, str], Sequence[Template]]) -> Iterator[Query]:
    """Every phrasing of every fact that is labelled in the language, in the order of the facts, then of the phrasings."""
    for fact in facts:
        if language in fact.labels:
            yield from _fact_queries(fact, language, templates.get((language, fact.relation), ()))


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
        )
