"""Students: who they are, how they move through grades and schools, when they are absent.

One LEA at a time, all years of the students that start there, so that memory holds one LEA.
A student who moves to another LEA stays in the care of the LEA that they started from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from include.demo import cte
from include.demo.extracts import Writers, coded, constant, dates, flag, numbered, whole
from include.demo.organizations import GRADE_9, GRADE_12, GRADE_SHARE, GRADES, Organizations
from include.demo.people import People, Registrar, groups_of, select, together
from include.demo.plan import Plan
from include.demo.truths import RACES, SEXES, Truths

IDEA_TYPES = (
    None, "AUT", "DB", "DD", "EMN", "HI", "ID", "MD", "OHI", "OI", "SLD", "SLI", "TBI", "VI"
)  # fmt: skip
_IDEA_SHARES = np.array([12, 0.1, 8, 5, 1, 6, 2, 16, 0.6, 34, 14.4, 0.4, 0.5])
HOMELESS = (None, "STH", "D", "U", "HM")
TIERS = (None, "1", "2", "3")
LUNCH = ("P", "F", "R", "CEP")
RACE_FLAGS = ("american_indian", "asian", "black", "pacific_islander", "white")
# RACES to the bit of RACE_FLAGS that a student of one race marks; HI7 and MU7 mark what they like.
_BIT = np.array([1, 2, 4, 0, 8, 16, 0])

# The year runs from the last days of August for 283 days; the count date is October 1.
YEAR_LENGTH = 283
COUNT_DAY = 36

STAYS, TRANSFERS, MOVES, DROPS_OUT, DIES, GRADUATES = range(6)
_EXIT = (None, "TRANSFER", "MOVED", "DROPOUT", "DIED", "GRADUATED")
_ENTRY = ("CONTINUING", "NEW", "TRANSFER")

# Students enrolled for fewer days are in no rate of chronic absence.
ELIGIBLE_DAYS = 20


def first_day(year: int) -> np.datetime64:
    """The first day of the school year that ends in `year`."""
    return np.datetime64(f"{year - 1}-10-01") - COUNT_DAY


def _school_days(day: np.ndarray, session: np.ndarray) -> np.ndarray:
    """Days of instruction before a day of the year, in a year that has `session` of them."""
    return np.ceil(np.minimum(day, YEAR_LENGTH) / YEAR_LENGTH * session).astype(np.int64)


@dataclass
class Fates:
    """What happens to each student in a year: parallel arrays, one entry per student.

    `day` is the last day at the first school for all but those who stay; `target` is where those
    who transfer go.
    """

    event: np.ndarray
    enters: np.ndarray
    day: np.ndarray
    target: np.ndarray
    graduates: np.ndarray

    @property
    def is_gone(self) -> np.ndarray:
        """Left the state's schools for good."""
        return self.graduates | np.isin(self.event, [MOVES, DROPS_OUT, DIES])


@dataclass
class Stays:
    """The rows of one year: parallel arrays, one entry per stay of a student at a school.

    `person` is the student's position. Days are counted from the first day of the school year.
    """

    person: np.ndarray
    school: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    event: np.ndarray
    is_counted: np.ndarray
    session: np.ndarray
    enrolled: np.ndarray
    absent: np.ndarray
    advanced: dict[str, np.ndarray]
    suspended: np.ndarray


@dataclass
class District:
    """One LEA's students through the years."""

    plan: Plan
    organizations: Organizations
    registrar: Registrar
    writers: Writers
    truths: Truths
    lea: int
    rng: np.random.Generator = field(init=False)
    conduct: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = self.plan.rng(1, self.lea)
        # Of its own, so that who is suspended decides nothing else.
        self.conduct = self.plan.rng(7, self.lea)

    # ------------------------------------------------------------------ who the students are

    def draw(self, grade: np.ndarray) -> People:
        """New students of these grades, not at a school yet."""
        rng, n = self.rng, len(grade)
        base = float(self.organizations.lea_poverty[self.lea])
        address = rng.random(n)
        poor = rng.random(n) < np.clip(base + 0.5 * (address - 0.5), 0.03, 0.97)
        minority = 0.15 + 0.5 * base
        # Poor neighborhoods hold more of the students of color, as in most states.
        of_color = rng.random(n) < np.clip(minority + 0.25 * (address - 0.5) + 0.1 * poor, 0, 1)
        other = rng.choice(7, n, p=[0.03, 0.11, 0.36, 0.38, 0.01, 0, 0.11])
        race = np.where(of_color, other, RACES.index("WH7"))
        hispanic = race == RACES.index("HI7")
        bits = _BIT[race]
        bits = np.where(
            hispanic, rng.choice([0, 16, 4, 20, 1], n, p=[0.3, 0.58, 0.06, 0.04, 0.02]), bits
        )
        two = rng.choice(
            [4 + 16, 2 + 16, 1 + 16, 2 + 4, 8 + 16], n, p=[0.5, 0.25, 0.13, 0.08, 0.04]
        )
        bits = np.where(race == RACES.index("MU7"), two, bits)
        # English learners live near one another.
        start = (0.37 * self.lea) % 0.75
        cluster = (address >= start) & (address < start + 0.25)
        learner = np.where(hispanic, 0.24, np.where(race == RACES.index("AS7"), 0.2, 0.008))
        learner = learner * np.where(cluster, 2.2, 0.6) * np.where(grade < 8, 1.2, 0.7)
        has_idea = rng.random(n) < 0.115 + 0.05 * poor
        idea = rng.choice(np.arange(1, len(IDEA_TYPES)), n, p=_IDEA_SHARES / _IDEA_SHARES.sum())
        return {
            "id": self.registrar.numbers(n),
            "address": address,
            "grade": grade.astype(np.int64),
            "school": np.full(n, -1),
            "cohort": np.zeros(n, np.int64),
            "is_new": np.ones(n, bool),
            "sex": rng.choice(3, n, p=[0.487, 0.512, 0.001]),
            "race": race,
            "bits": bits,
            "poor": poor,
            "learner": rng.random(n) < learner,
            "idea": np.where(has_idea, idea, 0),
            "section_504": ~has_idea & (rng.random(n) < 0.04),
            "foster": rng.random(n) < 0.003 + 0.006 * poor,
            "military": rng.random(n) < 0.02,
            "migrant": rng.random(n) < 0.004 * (1 + 3 * hispanic),
            "homeless": np.zeros(n, np.int64),
            **cte.draw(rng, n, grade, self.lea),
        }

    @property
    def offered(self) -> np.ndarray:
        """Whether the LEA offers each grade."""
        serving = self.organizations.serving
        return np.array([(self.lea, grade) in serving for grade in range(len(GRADES))])

    @property
    def shares(self) -> np.ndarray:
        """The share of each grade among the LEA's pupils."""
        shares = GRADE_SHARE * self.offered
        return shares / shares.sum()

    def grades(self, n: int) -> np.ndarray:
        """Grades of n students, as the LEA's schools offer them."""
        return self.rng.choice(len(GRADES), n, p=self.shares)

    def place(self, students: People, year: int) -> People:
        """Students at a school that offers their grade; without those for whom there is none."""
        it, rng = self.organizations, self.rng
        school, grade = students["school"], students["grade"]
        homeless = rng.random(len(grade)) < 0.006 + 0.035 * students["poor"]
        kind = rng.choice([1, 2, 3, 4], len(grade), p=[0.14, 0.72, 0.04, 0.1])
        seeking = ~it.serves(school, grade)
        lea = np.where(school >= 0, it.school_lea[school], self.lea)
        school = school.copy()
        school[seeking] = it.assign(lea[seeking], grade[seeking], students["address"][seeking])
        if self.lea in it.alternative:
            sent = (grade >= GRADE_9) & (lea == self.lea) & (rng.random(len(grade)) < 0.012)
            school[sent] = it.alternative[self.lea]
        entering = (grade >= GRADE_9) & (students["cohort"] == 0)
        cohort = np.where(entering, year + GRADE_12 - grade, students["cohort"])
        placed = students | {
            "school": school,
            "cohort": cohort,
            "homeless": np.where(homeless, kind, 0),
        }
        return select(placed, school >= 0)

    # ------------------------------------------------------------------ the years

    def run(self) -> None:
        """Write all years of this LEA's students and add up what is true of them."""
        pupils = int(self.organizations.lea_pupils[self.lea])
        growth = 1 + self.rng.normal(0.002, 0.008)
        first = self.plan.years[0]
        leavers = round(pupils * 0.005)
        students = self.draw(self.grades(pupils + leavers))
        # Those of the first year's students who are not its kindergartners were here before.
        students["is_new"] = (students["grade"] <= 1) | (self.rng.random(pupils + leavers) < 0.04)
        lost, reported = self._earlier_cohorts(first, pupils)
        for year in self.plan.years:
            early = leavers if year == first else round(len(students["id"]) * 0.005)
            students = self.place(students, year)
            late = self.draw(self.grades(round(pupils * 0.02)))
            late = self.place(late, year)
            students, fates = self._year(students, late, year, early)
            lost = together(lost, select(students, fates.event == DROPS_OUT))
            reported = self._report_cohorts(students, fates, lost, reported, year)
            pupils = round(pupils * growth)
            students = self._summer(select(students, ~fates.is_gone), pupils)

    def _summer(self, students: People, pupils: int) -> People:
        """The students who start the next year: promoted, kept back, gone, and new ones."""
        rng, n = self.rng, len(students["id"])
        grade = students["grade"]
        kept_back = rng.random(n) < np.where(grade == GRADE_9, 0.05, 0.012)
        students = students | {
            "grade": np.where(kept_back, grade, np.minimum(grade + 1, GRADE_12)),
            "learner": students["learner"] & (rng.random(n) > 0.1),
            "is_new": np.zeros(n, bool),
        }
        students = select(students, rng.random(n) > 0.025)
        here = self._lea_of(students) == self.lea
        wanted = np.round(self.shares * pupils).astype(int)
        have = np.bincount(students["grade"][here], minlength=len(GRADES))
        missing = np.maximum(wanted - have, 0)
        # Beyond the grades in which schooling starts, only some of the gap is filled from outside.
        starts = int(np.argmax(self.offered))
        missing[starts + 2 :] = np.round(missing[starts + 2 :] * 0.6)
        return together(students, self.draw(np.repeat(np.arange(len(GRADES)), missing)))

    def _lea_of(self, students: People) -> np.ndarray:
        school = students["school"]
        return np.where(school >= 0, self.organizations.school_lea[school], self.lea)

    def _year(self, students: People, late: People, year: int, early: int) -> tuple[People, Fates]:
        """Write one year. Returns all its students, at their last school, and their fates.

        The last `early` of `students` leave before the count date; `late` ones come after it.
        """
        present = len(students["id"])
        everyone = together(students, late)
        fates = self._fates(everyone, present, early)
        person, school, begins, ends, event = self._stays(everyone, fates)
        counted = (begins <= COUNT_DAY) & (ends >= COUNT_DAY)
        now = everyone | self._planted_groups(everyone, person, school, counted)
        session = self.organizations.lea_days[self.organizations.school_lea[school]]
        enrolled = _school_days(ends + 1, session) - _school_days(begins, session)
        absent = self._absences(now, person, enrolled)
        advanced = self._advanced(now, person, school, counted)
        suspended = self._suspensions(now, person, enrolled)
        stays = Stays(
            person, school, begins, ends, event, counted, session, enrolled, absent, advanced,
            suspended,
        )  # fmt: skip
        self._write(now, year, stays)
        self._add_up(now, year, stays)

        moved = fates.event == TRANSFERS
        everyone["school"] = np.where(moved, fates.target, everyone["school"])
        seat = np.full(len(moved), -1)
        seat[person[counted]] = school[counted]
        last_day = first_day(year) + np.where(fates.graduates, YEAR_LENGTH, fates.day)
        left = fates.graduates | (fates.event == DROPS_OUT)
        exits = np.where(left, last_day, np.datetime64("NaT"))
        everyone["cte_done"] = cte.run(
            self, now | {"school": everyone["school"]}, year, seat, fates.graduates, exits
        )
        return everyone, fates

    def _fates(self, everyone: People, present: int, early: int) -> Fates:
        """What happens to each in the year, and on which day."""
        rng, n = self.rng, len(everyone["id"])
        grade, poor = everyone["grade"], everyone["poor"]
        is_late = np.arange(n) >= present
        enters = np.where(is_late, rng.integers(COUNT_DAY + 1, YEAR_LENGTH - 60, n), 0)
        luck = rng.random(n)
        transfer = 0.025 + 0.03 * poor
        moves = transfer + 0.012
        drops = moves + np.where(grade >= GRADE_9, 0.006 + 0.012 * poor, 0)
        event = np.select(
            [luck < transfer, luck < moves, luck < drops, luck < drops + 0.0001],
            [TRANSFERS, MOVES, DROPS_OUT, DIES],
            STAYS,
        )
        event = np.where(is_late & (event != TRANSFERS), STAYS, event)
        # Before the count date nobody leaves but those who are meant to: the first year's
        # membership is planned.
        earliest = np.where(event == TRANSFERS, 2, COUNT_DAY)
        day = rng.integers(np.maximum(earliest, enters + 1), YEAR_LENGTH - 5)
        event[present - early : present] = MOVES
        day[present - early : present] = rng.integers(2, COUNT_DAY - 1, early)
        target = self._new_school(everyone)
        event = np.where((event == TRANSFERS) & (target == everyone["school"]), STAYS, event)
        chance = 0.955 - 0.05 * poor - 0.09 * everyone["learner"] - 0.1 * (everyone["idea"] > 0)
        graduates = (grade == GRADE_12) & np.isin(event, [STAYS, TRANSFERS])
        graduates &= rng.random(n) < chance
        return Fates(event, enters, day, target, graduates)

    def _stays(self, everyone: People, fates: Fates) -> tuple[np.ndarray, ...]:
        """Stays as person, school, first day, last day and what ends them, by person.

        One for everybody, a second one for those who transfer.
        """
        n = len(fates.event)
        second = np.flatnonzero(fates.event == TRANSFERS)
        person = np.concatenate([np.arange(n), second])
        school = np.concatenate([everyone["school"], fates.target[second]])
        begins = np.concatenate([fates.enters, fates.day[second] + 1])
        first_ends = np.where(fates.event == STAYS, YEAR_LENGTH, fates.day)
        ends = np.concatenate([first_ends, np.full(len(second), YEAR_LENGTH)])
        event = np.concatenate([fates.event, np.full(len(second), STAYS)])
        event = np.where((event == STAYS) & fates.graduates[person], GRADUATES, event)
        order = np.argsort(person, kind="stable")
        return tuple(array[order] for array in (person, school, begins, ends, event))

    def _new_school(self, students: People) -> np.ndarray:
        """Where each would go, should they transfer: elsewhere in the LEA, or to its host."""
        it, rng = self.organizations, self.rng
        origin = students["school"]
        n = len(origin)
        lea = it.school_lea[origin]
        away = rng.random(n) < 0.3
        elsewhere = np.where(away, it.lea_host[lea], lea)
        # Within the LEA: half a turn away, so that the school is another one wherever there is one.
        address = (students["address"] + rng.uniform(0.3, 0.7, n)) % 1
        target = it.assign(elsewhere, students["grade"], address)
        # The smallest stories would drown in newcomers.
        kept = np.isin(target, list(it.planted_schools.values())) | (target < 0)
        return np.where(kept, origin, target)

    def _planted_groups(
        self, everyone: People, person: np.ndarray, school: np.ndarray, counted: np.ndarray
    ) -> People:
        """Groups of an exact size at the schools where a story is planted."""
        learner, poor = everyone["learner"].copy(), everyone["poor"].copy()
        for story, at in self.organizations.planted_schools.items():
            # Whoever is ever there, so that no row of the school tells another story.
            there = np.unique(person[school == at])
            members = person[(school == at) & counted]
            if story == "four_english_learners":
                learner[there] = False
                learner[members[:4]] = True
            elif story == "no_english_learners":
                learner[there] = False
            else:
                poor[there] = True
                poor[members[:3]] = False
        return {"learner": learner, "poor": poor}

    def _absences(self, everyone: People, person: np.ndarray, enrolled: np.ndarray) -> np.ndarray:
        """Days absent of each stay. Who is chronically absent is so in every stay."""
        rng, n = self.rng, len(everyone["id"])
        poverty = self.organizations.lea_poverty
        rate = 0.07 + 0.2 * float(poverty[self.lea])
        if self.organizations.planted_leas["doubled_chronic_absence"] == self.lea:
            rate = 2 * (0.07 + 0.2 * float(poverty.mean()))
        high_school = everyone["grade"] >= GRADE_9
        risk = (
            0.9 * everyone["poor"]
            + 0.5 * (everyone["idea"] > 0)
            + 0.8 * (everyone["homeless"] > 0)
            + 0.5 * high_school
            + rng.gumbel(0, 1, n)
        )
        chronic = np.zeros(n, bool)
        chronic[np.argsort(-risk, kind="stable")[: round(rate * n)]] = True
        share = np.where(chronic, 0.105 + rng.exponential(0.06, n), 0.095 * rng.beta(2, 2.2, n))
        days = np.round(np.minimum(share, 0.8)[person] * enrolled).astype(np.int64)
        tenth = enrolled // 10
        return np.where(
            chronic[person],
            np.minimum(np.maximum(days, tenth + 1), enrolled),
            np.minimum(days, tenth),
        )

    def _advanced(
        self, everyone: People, person: np.ndarray, school: np.ndarray, counted: np.ndarray
    ) -> dict[str, np.ndarray]:
        """AP, IB and dual enrollment of each stay; of members only, and less often of the poor."""
        able = counted & (everyone["grade"][person] >= GRADE_9)
        chance = (1 - 0.45 * everyone["poor"] - 0.5 * everyone["learner"])[person]
        rates = {"ap": 0.24, "ib": 0.1, "dual_enrollment": 0.13}
        return {
            name: able
            & self.organizations.school_offers[name][school]
            & (self.rng.random(len(person)) < rate * chance)
            for name, rate in rates.items()
        }

    def _suspensions(
        self, everyone: People, person: np.ndarray, enrolled: np.ndarray
    ) -> np.ndarray:
        """Times suspended out of school in each stay: more often the poor and those with IDEA."""
        rng, rows = self.conduct, len(person)
        chance = 0.02 + 0.05 * everyone["poor"] + 0.04 * (everyone["idea"] > 0)
        chance = chance * np.where(everyone["grade"] >= GRADES.index("06"), 1.6, 0.5)
        times = np.where(rng.random(rows) < chance[person], rng.geometric(0.6, rows), 0)
        return np.minimum(times, enrolled // 20)

    # ------------------------------------------------------------------ what is written

    def _write(self, everyone: People, year: int, stays: Stays) -> None:
        it, person, school = self.organizations, stays.person, stays.school
        rows = len(person)
        of = select(everyone, person)
        start = first_day(year)
        exits = np.where(stays.event == STAYS, np.datetime64("NaT"), start + stays.ends)
        second = np.concatenate([[False], person[1:] == person[:-1]])
        entry = np.where(second, 2, np.where(of["is_new"], 1, 0))
        tier = np.where(of["learner"], 1 + np.minimum(of["id"] % 4, 2), 0)
        community = it.school_poverty[school] >= 0.62
        lunch = np.where(of["poor"], np.where(of["id"] % 10 < 8, 1, 2), 0)
        lunch = np.where(community, 3, lunch)
        # The formula's needs: of disability by its type, of an English learner by the tier.
        need = np.where(
            of["idea"] > 0, 1 + of["idea"] % 10, np.where(tier == 3, 5, np.where(tier == 2, 4, 0))
        )
        part_time = self.rng.random(rows) < 0.01
        self.writers[year, "student_enrollment"].write(
            {
                "school_year": constant(year, rows),
                "lea_id": coded(it.lea_ids, it.school_lea[school]),
                "school_id": coded(it.school_ids, school),
                "student_id": numbered(of["id"], 9),
                "entry_date": dates(start + stays.begins),
                "exit_date": dates(exits),
                "entry_type": coded(_ENTRY, entry),
                "exit_type": coded(_EXIT, stays.event),
                "grade": coded(GRADES, of["grade"]),
                "fte": coded(("1.0", "0.5"), part_time.astype(np.int8)),
                "sex": coded(SEXES, of["sex"]),
                "hispanic": flag(of["race"] == RACES.index("HI7")),
                **{name: flag(of["bits"] >> bit & 1) for bit, name in enumerate(RACE_FLAGS)},
                "economically_disadvantaged": flag(of["poor"]),
                "lunch": coded(LUNCH, lunch),
                "english_learner": flag(of["learner"]),
                "el_tier": coded(TIERS, tier),
                "idea": flag(of["idea"] > 0),
                "idea_type": coded(IDEA_TYPES, of["idea"]),
                "section_504": flag(of["section_504"]),
                "homeless": coded(HOMELESS, of["homeless"]),
                "foster": flag(of["foster"]),
                "military": flag(of["military"]),
                "migrant": flag(of["migrant"]),
                **{f"need_{k}": flag(need == k) for k in range(1, 11)},
                **{name: flag(taken) for name, taken in stays.advanced.items()},
                "count_date": flag(stays.is_counted),
                "days_in_session": whole(stays.session),
                "days_enrolled": whole(stays.enrolled),
                "days_absent": whole(stays.absent),
                "out_of_school_suspensions": whole(stays.suspended),
            }
        )

    def _add_up(self, everyone: People, year: int, stays: Stays) -> None:
        truths, it = self.truths, self.organizations
        person, school, counted = stays.person, stays.school, stays.is_counted
        member = select(everyone, person[counted])
        groups = groups_of(member) | {
            "grade": member["grade"],
            "race*sex": member["race"] * len(SEXES) + member["sex"],
        }
        truths.add_up(year, "membership", school[counted], groups)
        groups = groups_of(select(everyone, person))
        days = stays.enrolled / stays.session
        truths.add_up(year, "average_daily_membership", school, groups, days)
        upper = counted & (everyone["grade"][person] >= GRADE_9)
        truths.add_up(
            year, "membership_9_12", school[upper], groups_of(select(everyone, person[upper]))
        )
        for program, taken in enumerate(stays.advanced.values()):
            of = select(everyone, person[taken])
            code = np.full(len(of["id"]), program)
            groups = {"program": code, "program*race": code * len(RACES) + of["race"]}
            truths.add_up(year, "advanced_students", school[taken], groups)

        # Who was counted there and suspended there, before the count date or after it.
        lea = it.school_lea[school]
        places = {"SCH": school, "LEA": lea, "SEA": np.zeros(len(school), int)}
        for level, place in places.items():
            width = int(place.max()) + 1
            key = person * width + place
            chosen = counted & np.isin(key, key[stays.suspended > 0])
            of = select(everyone, person[chosen])
            groups = groups_of(of) | {"grade": of["grade"]}
            truths.add(year, "suspended_students", level, place[chosen], groups)

        # A student's days are summed over their stays in the organization before they are judged.
        for level, place in places.items():
            width = int(place.max()) + 1
            key, index = np.unique(person * width + place, return_inverse=True)
            days = np.bincount(index, weights=stays.enrolled)
            missed = np.bincount(index, weights=stays.absent)
            eligible = days >= ELIGIBLE_DAYS
            chronic = eligible & (10 * missed > days)
            for measure, chosen in (
                ("attendance_eligible", eligible),
                ("chronically_absent", chronic),
            ):
                of = select(everyone, key[chosen] // width)
                groups = groups_of(of) | {"grade": of["grade"]}
                truths.add(year, measure, level, key[chosen] % width, groups)

    # ------------------------------------------------------------------ graduation cohorts

    def _earlier_cohorts(self, first: int, pupils: int) -> tuple[People, People]:
        """Who had left before the first year: dropouts of its cohorts, and last year's cohort."""
        n = round(pupils * self.shares[GRADE_12])
        lost = self.draw(np.full(4 * round(n * 0.05), GRADE_12))
        lost["cohort"] = first + np.arange(len(lost["id"])) % 4
        last = self.draw(np.full(n, GRADE_12))
        last["cohort"][:] = first - 1
        last = self.place(last, first - 1)
        years = np.where(self.rng.random(len(last["id"])) < 0.88 - 0.08 * last["poor"], 4, 0)
        return self.place(lost, first - 1), last | {"years": years}

    def _report_cohorts(
        self, students: People, fates: Fates, lost: People, reported: People, year: int
    ) -> People:
        """Write the cohorts of this year and of last year. Returns this year's for the next."""
        # Who moved out of the state or died is in no cohort any more.
        moved = np.isin(fates.event, [MOVES, DIES])
        here = (students["cohort"] == year) & ~moved & (fates.event != DROPS_OUT)
        four = select(students, here)
        four = four | {"years": np.where(fates.graduates[here], 4, 0)}
        gone = select(lost, lost["cohort"] == year)
        four = together(four, gone | {"years": np.zeros(len(gone["id"]), np.int64)})

        open_ = reported["years"] == 0
        again = students["id"][fates.graduates]
        back = self.rng.random(len(open_)) < 0.06
        fifth = open_ & (np.isin(reported["id"], again) | back)
        five = reported | {"years": np.where(fifth, 5, reported["years"])}
        five = select(five, ~np.isin(five["id"], students["id"][moved]))

        for label, cohort in (("4yr", four), ("5yr", five)):
            self.truths.add_up(year, f"cohort_{label}", cohort["school"], groups_of(cohort))
            done = select(cohort, cohort["years"] > 0)
            self.truths.add_up(year, f"graduates_{label}", done["school"], groups_of(done))
        both = together(four, five)
        it, rows = self.organizations, len(both["id"])
        if rows:
            self.writers[year, "graduation_cohort"].write(
                {
                    "school_year": constant(year, rows),
                    "lea_id": coded(it.lea_ids, it.school_lea[both["school"]]),
                    "school_id": coded(it.school_ids, both["school"]),
                    "student_id": numbered(both["id"], 9),
                    "cohort_year": whole(both["cohort"]),
                    "graduated": flag(both["years"] > 0),
                    "years": coded((None, "4", "5"), np.maximum(both["years"] - 3, 0)),
                    "sex": coded(SEXES, both["sex"]),
                    "hispanic": flag(both["race"] == RACES.index("HI7")),
                    **{name: flag(both["bits"] >> bit & 1) for bit, name in enumerate(RACE_FLAGS)},
                    "economically_disadvantaged": flag(both["poor"]),
                    "english_learner": flag(both["learner"]),
                    "idea": flag(both["idea"] > 0),
                    "homeless": coded(HOMELESS, both["homeless"]),
                    "foster": flag(both["foster"]),
                    "military": flag(both["military"]),
                    "migrant": flag(both["migrant"]),
                }
            )
        return four
