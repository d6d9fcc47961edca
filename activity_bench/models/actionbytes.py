"""ActionBytes: Jain, Ghodrati and Snoek, *Learning from Trimmed Videos to Localize Actions*, CVPR 2020, section 3.

A localisation model (W-TALC: Paul et al., ECCV 2018) is trained on the classes of trimmed clips. The clips are cut
where its latent features change, the pieces are clustered, and the clusters of a clip's pieces are its pseudo-labels,
on which the model is trained anew; three times. What it says of the clips' classes is then said of those asked for.

What the paper leaves open, and what was chosen:

- l, the number of latent concepts: 2,048, as many as the features have numbers, as in W-TALC's released code. As there,
  too: dropout 0.7, Glorot-uniform weights, both losses weighed alike, margin 0.5, batches of 10 videos of which 3 pairs
  share a class, windows cropped to 750 rows in training, k rounded up. Its weight decay (5e-4) is left out.
- Co-activity is asked of all couples of a batch's videos that share a class, not of the drawn pairs alone.
- The transfer layer sees the activations of pseudo-classes as constants: the localisation model is trained "on
  pseudo-labels". Both losses are added.
- A round of mining keeps the latent projection, and begins classifier and transfer layer anew: the number of a cluster
  means nothing in another round. Steps are not stated: 5,000 a round.
- The percentile is that of a video's own changes. Mining has p = 50 for every target; the set for ActivityNet 1.2 is of
  its proposals (`percentile`): in a clip of 18 rows it would leave no ActionByte. A clip without one is one piece.
- Affinities weigh the activations of the five classes most like the one asked for (`nearest`).
- Classes below the mean confidence are left out, as the paper says; W-TALC's released code leaves out those below 0.
- A segment's score is W-TALC's released one; a proposal has its mean activation for the greatest. NMS at IoU 0.5.
- Where training lines state the classes of untrimmed videos (weak) there is no mining and no transfer layer.

mAP at .3 .4 .5 .7 (Table 1): THUMOS14 baseline 18.8 12.7 8.4 1.7; ours 21.1 15.6 11.3 2.8; + proposals 26.1 20.3 15.5
3.7. ActivityNet 1.2: 24.0 21.7 19.4 8.0; 24.4 22.4 20.1 8.2; 24.7 22.7 20.3 8.3. MultiTHUMOS: 7.5 4.9 3.2 0.6; 8.1 5.7
4.1 1.0; 10.8 8.1 6.1 1.4. Segments of two rows in place of ActionBytes: 14.1 at .5 (15.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from activity_bench import chance
from activity_bench.errors import InputError
from activity_bench.training import loop
from activity_bench.training.batches import VideoBatch
from activity_bench.training.blocks.bytes import boundaries
from activity_bench.training.blocks.mil import co_activity_loss, k_max_loss
from activity_bench.training.blocks.proposals import Found, localised, proposals
from activity_bench.training.blocks.ranges import SHARE, SIZE, check
from activity_bench.training.checkpoint import Folder, read_weights
from activity_bench.training.clips import notes, placed
from activity_bench.training.distributed import device_of, said_plainly
from activity_bench.training.keeper import Job
from activity_bench.training.method import TrainedMethod
from activity_bench.training.mining import Mined, check_rounds, localisation_map, mine, round_of
from activity_bench.training.options import TrainOptions
from activity_bench.training.transfer import Classes, affinity, asked, left_out, nearest
from activity_bench.training.videos import MinedBatch, Video, VideoPlan, answered, collate_videos, video_of
from activity_bench.training.watch import Silent, Watch
from activity_bench.types import Prediction, Sample


@dataclass(frozen=True)
class Options:
    """The paper's hyperparameters (section 4, "Implementation details"), and W-TALC's where it has none."""

    mode: Literal["mined", "baseline"] = field(
        default="mined", metadata={"help": "baseline: trained on the class labels, without mining"}
    )
    segments: Literal["bytes", "fixed"] = field(
        default="bytes", metadata={"help": "what is clustered: ActionBytes, or segments of two rows (section 4.1)"}
    )
    rounds: int = field(default=3, metadata={"help": "of mining"})
    clusters: int = field(default=500, metadata={"help": "K, the number of pseudo-labels"})
    mine_percentile: float = field(default=50.0, metadata={"help": "p of Eq. 1 in mining"})
    latent: int = field(default=2048, metadata={"help": "l, the number of latent concepts"})
    dropout: float = field(default=0.7, metadata={"help": "of the latent concepts"})
    co_activity: float = field(default=0.5, metadata={"help": "share of the co-activity loss; the rest is k-max MIL's"})
    pairs: int = field(default=3, metadata={"help": "pairs of a batch that share a class"})
    words: str = field(default="", metadata={"help": "word vectors (a file), where other classes are asked for"})
    nearest: int = field(default=5, metadata={"help": "classes whose activations an asked class sums up; 0: all"})
    proposals: bool = field(default=False, metadata={"help": "add P_AB of Eq. 2 to the answers"})
    percentile: str = field(
        default="50", metadata={"help": "p of Eq. 1 in P_AB; several are pooled: 92 95 97.5 99 99.5 for ActivityNet"}
    )
    merge: str = field(default="1 2", metadata={"help": "M of Eq. 2: how many ActionBytes a proposal has"})
    overlap: float = field(default=0.5, metadata={"help": "IoU above which the less likely of two segments goes"})

    def __post_init__(self) -> None:
        check(self, rounds=(0, 1000), clusters=SIZE, latent=SIZE, mine_percentile=(0, 100), dropout=(0, 0.999),
              co_activity=SHARE, pairs=(0, 1e6), nearest=(0, 1e6), overlap=(0.01, 1))  # fmt: skip
        if not all(0 <= p <= 100 for p in self.percentiles):
            raise InputError("out of range", field="percentile", found=self.percentile,
                             expected="percentiles, 0 to 100")  # fmt: skip
        if not all(m == int(m) and 1 <= m <= 1000 for m in _numbers("merge", self.merge)):
            raise InputError("out of range", field="merge", found=self.merge, expected="whole numbers, 1 to 1000")

    @property
    def percentiles(self) -> list[float]:
        """Of the proposals."""
        return _numbers("percentile", self.percentile)

    @property
    def merged(self) -> list[int]:
        """M of Eq. 2."""
        return [int(m) for m in _numbers("merge", self.merge)]


def _numbers(name: str, text: str) -> list[float]:
    try:
        found = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        found = []
    if not found or not np.isfinite(found).all():
        raise InputError("not numbers", field=name, found=text, expected="numbers with spaces between them")
    return found


@dataclass
class Outputs:
    """What is said of each row."""

    latent: Tensor  # (B, N, l), L
    activations: Tensor  # (B, N, K) of pseudo-classes, or of the classes where nothing was mined
    classes: Tensor  # (B, N, C) of the classes that are learnt


class ActionBytes(nn.Module):
    """The localisation model of Figure 3: with pseudo-classes, and then a transfer layer, or without."""

    affinity: Tensor  # (C, T), of classes learnt and asked for

    def __init__(self, dim: int, options: Options, classes: int = 1, targets: int = 1, pseudo: int = 0) -> None:
        super().__init__()
        self.options = options
        self.project = nn.Linear(dim, options.latent)  # W_proj
        self.dropout = nn.Dropout(options.dropout)
        self.classify = nn.Linear(options.latent, pseudo or classes)
        self.transfer = nn.Linear(pseudo, classes) if pseudo else None
        self.register_buffer("affinity", torch.zeros(classes, targets))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def latent(self, video: Tensor) -> Tensor:
        """L = ReLU(W_proj F). (B, N, D) -> (B, N, l)"""
        projected: Tensor = self.project(video)
        return projected.relu()

    def heads(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, l) -> activations (B, N, K), classes (B, N, C)"""
        activations = self.classify(latent)
        return activations, activations if self.transfer is None else self.transfer(activations.detach())

    def forward(self, batch: VideoBatch) -> Outputs:
        """Both classifiers see the latent concepts that are left by dropout, and so does the co-activity loss."""
        latent = self.dropout(self.latent(batch.video))
        return Outputs(latent, *self.heads(latent))

    def loss(self, outputs: Outputs, batch: VideoBatch) -> Tensor:
        """k-max MIL and co-activity similarity of what is taught; k-max MIL of the transfer layer. ()"""
        taught = batch.pseudo if isinstance(batch, MinedBatch) else batch.classes  # (B, K)
        share, mask = self.options.co_activity, batch.video_mask
        loss = (1 - share) * k_max_loss(outputs.activations, mask, taught)
        if share:
            loss = loss + share * co_activity_loss(outputs.latent, outputs.activations, mask, taught)
        return loss if self.transfer is None else loss + k_max_loss(outputs.classes, mask, batch.classes)

    def decode(self, video: Tensor, affinity: Tensor | None = None) -> Found:
        """Scored segments of the classes that are asked for, in one whole video. (1, N, D), (C, T)"""
        latent = self.latent(video)
        weights = nearest((self.affinity if affinity is None else affinity).to(latent), self.options.nearest)
        activations = (self.heads(latent)[1][0] @ weights).double().cpu().numpy()  # (N, T)
        return localised(activations, self._pool(latent), self.options.overlap)

    def _pool(self, latent: Tensor) -> tuple[Any, Any] | None:
        """P_AB of every percentile together."""
        if not self.options.proposals:
            return None
        mask = latent.new_ones(latent.shape[:2], dtype=torch.bool)
        bounds = [boundaries(latent, mask, p)[0].nonzero().flatten().cpu().numpy() for p in self.options.percentiles]
        return proposals(bounds, self.options.merged, latent.shape[1])


class Method(TrainedMethod):
    """`actionbytes` in the catalog: rounds, each an ordinary training in a folder of its own."""

    network = ActionBytes
    options_class = Options
    tasks = frozenset({"detection"})
    query_kind = "classes"
    at_prediction = frozenset({"proposals", "percentile", "merge", "overlap", "words", "nearest"})
    defaults = TrainOptions(batch=10, steps=5000, lr=1e-3, clip=0.0, rows=750, redraw=False, augment=0.0)
    trained: ActionBytes | None
    classes: Classes

    def needs_targets(self) -> bool:
        """Never: a clip has a class, and all of it shows it."""
        return False

    # ---- learning ---------------------------------------------------------------------------------------------------

    def check_questions(self, samples: Sequence[Sample]) -> None:
        """Training clips may have the features of cut clips; then they are read as such from here on."""
        self.provider = placed(samples, self.provider)
        super().check_questions(samples)

    def plan(self, train: Sequence[Sample]) -> VideoPlan:
        """Which videos a step learns from, before anything is mined; classes that cannot be asked for are named."""
        classes = self._classes(train)
        self._affinity(classes, classes.target)
        return self._plan(self._videos(train, classes), 0)

    def _plan(self, videos: Sequence[Video], number: int) -> VideoPlan:
        seed = chance.key(self.seed, str(number), "round")
        return VideoPlan(videos, seed, self.training, self.options.pairs, self.processes.count)

    def _classes(self, train: Sequence[Sample]) -> Classes:
        """What is learnt and asked for; nothing is mined where training lines state the classes of untrimmed videos."""
        mines = self.options.mode == "mined" and self.options.rounds and not any(sample.labels for sample in train)
        return Classes.of(train, self.vocabularies, self.options.clusters if mines else 0, self.options.words)

    def _affinity(self, classes: Classes, target: Sequence[str]) -> Tensor:
        return torch.from_numpy(affinity(classes.source, target, self.options.words)).float()  # (C, T)

    def _videos(self, train: Sequence[Sample], classes: Classes) -> list[Video]:
        places = {label: place for place, label in enumerate(classes.source)}
        return [video_of(sample, self.provider, places) for sample in train]

    def _sized(self, pseudo: int) -> ActionBytes:
        source, target = len(self.classes.source), len(self.classes.target)
        return ActionBytes(self.provider.dim, self.options, source, target, pseudo)

    def _made(self, number: int, before: ActionBytes | None = None) -> ActionBytes:
        """The network of a round: its projection is that of the round before, its first weights are the seed's."""
        torch.manual_seed(chance.key(self.seed, str(number), "weights"))
        network = self._sized(self.classes.pseudo if number else 0)
        if before is not None:
            network.project.load_state_dict(before.project.state_dict())
            network.affinity.copy_(before.affinity)
        return network.to(device_of(self.training.device, self.processes))

    def fit(
        self, train: Sequence[Sample], val: Sequence[Sample], folder: Folder | None = None, watch: Watch | None = None
    ) -> Mapping[str, Any]:
        """Train on the class labels, then mine and train again; of each round, what came of it (Figures 5 and 6)."""
        self.check(train, val)
        watch, device = watch or Silent(), device_of(self.training.device, self.processes)
        self.classes = self._classes(train)
        videos, rounds = self._videos(train, self.classes), self.options.rounds if self.classes.pseudo else 0
        history: list[dict[str, Any]] = []
        forked = torch.random.fork_rng([device] if device.type == "cuda" else [])
        with self.joined(), said_plainly(self.training), forked:
            say = watch.note if self.processes.writes else Silent().note
            for said in filter(None, (notes(self.provider), left_out(self.classes))):
                say(said)
            check_rounds(folder, rounds, videos, self._plan(videos, 0).options.steps, self.options)
            if folder is not None:
                self.first(lambda: self.classes.write(folder.path))
            network = self._made(0)
            network.affinity.copy_(self._affinity(self.classes, self.classes.target))
            for number in range(rounds + 1):
                inner = folder and round_of(folder, number)
                mined = self._mined(network, videos, number, history, inner) if number else None
                if mined is not None:
                    say(f"round {number} of {rounds}: {mined}")
                    network, videos = self._made(number, network), mined.taught(videos)
                outcome = self._round(network, videos, number, inner, watch)
                history.append({"round": number, "steps": outcome.state.step, "seconds": outcome.state.seconds,
                                "waited": outcome.waited, **self._seen(mined, val)})  # fmt: skip
            if folder is not None:
                for name in ("last", "best"):  # nothing is selected
                    self.first(partial(folder.weights, name, network.state_dict()))
        return {
            "steps": sum(each["steps"] for each in history), "selected_step": history[-1]["steps"], "val_mIoU": None,
            "rounds": history, "samples": len(videos), "batch": self._plan(videos, 0).size, "device": str(device),
            "classes": len(self.classes.source), "weights": sum(weight.numel() for weight in network.parameters()),
            "seconds": round(sum(each["seconds"] for each in history), 3), "processes": self.processes.count,
        }  # fmt: skip

    def _round(
        self, network: ActionBytes, videos: Sequence[Video], number: int, folder: Folder | None, watch: Watch
    ) -> loop.Outcome:
        """One training; the network has its last weights after it, and answers with them."""
        read = partial(collate_videos, classes=len(self.classes.source), pseudo=self.classes.pseudo if number else 0)
        job = Job(network, self._plan(videos, number), [], self.provider, chance.key(self.seed, str(number), "steps"),
                  device_of(self.training.device, self.processes), folder, self.processes, watch, read)  # fmt: skip
        try:
            outcome = loop.train(job)
        finally:
            watch.end()
        network.load_state_dict(outcome.weights)
        self.trained = network
        return outcome

    def _mined(
        self, network: ActionBytes, videos: Sequence[Video], number: int, history: Sequence[Mapping[str, Any]],
        folder: Folder | None,
    ) -> Mined:  # fmt: skip
        """The pseudo-labels of a round, from its folder where they are there already."""
        options, after = self.options, history[-1]["steps"]
        device, seed = device_of(self.training.device, self.processes), chance.key(self.seed, str(number), "mining")

        def now() -> Mined:
            return mine(network, videos, self.provider, device, clusters=options.clusters, seed=seed,
                        segments=options.segments, percentile=options.mine_percentile)  # fmt: skip

        if folder is None:
            return now()
        shape = len(videos), options.clusters
        self.first(lambda: None if Mined.kept(folder, *shape, after) else now().keep(folder, after))
        kept = Mined.kept(folder, *shape, after)
        assert kept is not None
        return kept

    def _seen(self, mined: Mined | None, val: Sequence[Sample]) -> dict[str, Any]:
        """Figure 6: the clustering's loss, and mAP where there are samples with targets to look at."""
        found = {"segments": mined.count, "loss": mined.loss} if mined else {}
        asked = [sample for sample in val if sample.targets]
        return found | (localisation_map(list(self.predict(s.question() for s in asked)), asked) if asked else {})

    # ---- answering --------------------------------------------------------------------------------------------------

    def load(self, path: Path) -> None:
        """Take the weights of a file, and the names of the classes from beside it."""
        self.classes = Classes.read(path.parent)
        with torch.device("meta"):
            network = self._sized(self.classes.pseudo)
        weights = read_weights(path, network)
        network.to_empty(device=device_of(self.training.device, self.processes)).load_state_dict(weights)
        self.trained = network

    def predict(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """Answer in the order of the questions, one whole video at a time."""
        if self.trained is None:
            raise InputError("this method is neither fitted nor loaded")
        self.trained.eval()
        affinities: dict[str, tuple[tuple[str, ...], Tensor | None]] = {}
        for sample in samples:
            vocabulary = str(sample.query.vocabulary)
            if vocabulary not in affinities:  # of other classes or words than in training: from the words again
                names = asked(self.vocabularies, vocabulary) or self.classes.target
                known = names == self.classes.target and self.classes.words in (None, self.options.words)
                affinities[vocabulary] = names, None if known else self._affinity(self.classes, names)
            names, own = affinities[vocabulary]
            video = video_of(sample, self.provider, {})
            rows = torch.from_numpy(self.provider.read(video.video, *video.window))[None]  # (1, N, D)
            with torch.inference_mode(), said_plainly(self.training):
                found = self.trained.decode(rows.to(self.trained.affinity.device), own)
            yield answered(sample, video, found, names, self.provider.timing)
