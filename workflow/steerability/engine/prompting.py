"""What an engine makes of texts: prompts from messages, and what a chat template says of turns."""

from collections.abc import Sequence

from steerability.engine.errors import PromptError
from steerability.engine.prompts import folded, plain_tokens, traced_chat, traced_tokens
from steerability.engine.rendering import Message
from steerability.engine.turns import opened_thought, thought_closed, turn_end
from steerability.engine.vocabulary import Vocabulary
from steerability.engine.weights import Weights


class Prompting:
    """The part of an engine that needs a file's header alone.

    Args:
        header: the weights, or their header.
        vocabulary: theirs.

    Attributes:
        vocabulary: the weights' vocabulary.
        window: the context window in tokens.
    """

    def __init__(self, header: Weights, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.window = header.context_length
        self._named = header
        self._turn_ends: dict[str, int | None] = {}

    def chat(
        self,
        messages: Sequence[Message],
        template: str | None = None,
        *,
        fold_system: bool = False,
        close_thought: bool = False,
    ) -> tuple[int, ...]:
        """Return the token ids of chat messages.

        Args:
            messages: mappings with ``role`` and ``content``; contents stay plain text.
            template: a Jinja template in place of the weights' own.
            fold_system: put the system message in front of the first user message's text.
            close_thought: where the template opens a thought, leave it empty and close it, so
                that what follows is the answer.

        Raises:
            PromptError: there is no template, or it cannot be rendered.
        """
        source = self._template(template)
        messages = folded(messages) if fold_system else messages
        traced = traced_chat(self.vocabulary, source, messages)
        if close_thought:
            traced = thought_closed(self.vocabulary, source, messages, traced)
        return traced_tokens(self.vocabulary, source, traced)

    def opens_thought(self, messages: Sequence[Message], template: str | None = None) -> bool:
        """Return whether a chat template opens a thought that the model would go on with.

        Raises:
            PromptError: see ``chat``.
        """
        source = self._template(template)
        traced = traced_chat(self.vocabulary, source, messages)
        return opened_thought(self.vocabulary, source, messages, traced) is not None

    def turn_end(self, template: str | None = None) -> int | None:
        """Return the token that ends a turn in a chat template, which may not be that in ``stop``.

        Args:
            template: a Jinja template in place of the weights' own.

        Returns:
            None where there is no template, or no special token ends its turns.

        Raises:
            PromptError: the template is no Jinja, or goes beyond its limits.
        """
        source = template if template is not None else self._named.chat_template
        if source is None:
            return None
        if source not in self._turn_ends:
            self._turn_ends[source] = turn_end(self.vocabulary, source)
        return self._turn_ends[source]

    def _template(self, template: str | None) -> str:
        source = template if template is not None else self._named.chat_template
        if source is None:
            raise PromptError(
                "the weights hold no chat template", "give a template or a plain prompt"
            )
        return source

    def plain(self, text: str) -> tuple[int, ...]:
        """Return the token ids of a plain prompt, without a template."""
        return plain_tokens(self.vocabulary, text)

    def check(self, prompt: Sequence[int]) -> None:
        """Check that a prompt leaves room for at least one token.

        Raises:
            PromptError: it is empty or does not fit the context window.
        """
        if not prompt:
            raise PromptError("the prompt is empty")
        if len(prompt) >= self.window:
            raise PromptError(
                f"the prompt has {len(prompt)} tokens, the model's context holds {self.window}",
                "shorten it or set max_prompt_tokens",
            )
