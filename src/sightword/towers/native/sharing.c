/* Parts of some work, shared among threads that wait for it: in C alone, since Python's lock would go from one to the
   other at both ends of each piece, which takes longer than many a piece.

   Who waits does so awake for a moment before sleep: a processor that slept takes longer to wake than the work takes
   that was waited for. Others that want the processor have it meanwhile: torch's own threads, first of all. */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int (*Work)(const void *what, int64_t first, int64_t last);

enum { AWAKE = 500000, LOOKS = 64 }; /* nanoseconds that are waited awake; looks before others may have the processor */

typedef struct Helper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    int64_t asked, done; /* pieces of work */
    Work work;           /* NULL: that was all */
    const void *what;
    int64_t first, last;
    int failed;
    struct Helper *next;
} Helper;

/* The helpers of one thread, which end with it. */
typedef struct {
    pid_t process;
    Helper *helpers;
} Team;

static pthread_key_t own;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static int is(const int64_t *number, int64_t wanted) {
    return __atomic_load_n(number, __ATOMIC_ACQUIRE) == wanted;
}

static void await(Helper *h, const int64_t *number, int64_t wanted) {
    int64_t until = now() + AWAKE;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (is(number, wanted)) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        sched_yield();
    } while (now() < until);
    pthread_mutex_lock(&h->lock);
    while (!is(number, wanted)) pthread_cond_wait(&h->news, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

static void tell(Helper *h, int64_t *number) {
    pthread_mutex_lock(&h->lock);
    __atomic_add_fetch(number, 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&h->news);
    pthread_mutex_unlock(&h->lock);
}

static void *help(void *given) {
    Helper *h = given;
    for (int64_t piece = 1;; piece++) {
        await(h, &h->asked, piece);
        if (!h->work) return NULL;
        h->failed = h->work(h->what, h->first, h->last);
        tell(h, &h->done);
    }
}

static void ask(Helper *h, Work work, const void *what, int64_t first, int64_t last) {
    h->work = work, h->what = what, h->first = first, h->last = last;
    tell(h, &h->asked);
}

/* NULL when there can be none. Signals are left to the other threads: Python expects them there. */
static Helper *new_helper(void) {
    Helper *h = calloc(1, sizeof *h);
    if (!h) return NULL;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->news, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&h->thread, NULL, help, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) return h;
    free(h);
    return NULL;
}

static void end(void *given) {
    Team *team = given;
    while (team->process == getpid() && team->helpers) { /* after a fork they are not there any more */
        Helper *h = team->helpers;
        team->helpers = h->next;
        ask(h, NULL, NULL, 0, 0);
        pthread_join(h->thread, NULL);
        pthread_cond_destroy(&h->news);
        pthread_mutex_destroy(&h->lock);
        free(h);
    }
    free(team);
}

static void make_key(void) {
    if (pthread_key_create(&own, end)) abort();
}

/* This thread's own: nobody else's work comes between. NULL when there is no memory. */
static Team *own_team(void) {
    pthread_once(&once, make_key);
    Team *team = pthread_getspecific(own);
    if (team && team->process == getpid()) return team;
    team = calloc(1, sizeof *team);
    if (team) team->process = getpid();
    pthread_setspecific(own, team);
    return team;
}

/* As many helpers as can be had, up to `count`; how many these are. */
static int64_t gather(Team *team, int64_t count) {
    int64_t found = 0;
    if (!team) return 0;
    for (Helper **at = &team->helpers; found < count; at = &(*at)->next, found++)
        if (!*at && !(*at = new_helper())) break;
    return found;
}

/* Parts 0 to `parts` by so many threads at most, this one among them; what a piece said that was not 0, else 0. */
int share(Work work, const void *what, int64_t parts, int64_t threads) {
    if (threads < 2) return work(what, 0, parts);
    Team *team = own_team();
    int64_t count = gather(team, threads - 1), piece = 1;
    if (!count) return work(what, 0, parts);
    Helper *h = team->helpers;
    for (; piece <= count; piece++, h = h->next)
        ask(h, work, what, parts * piece / (count + 1), parts * (piece + 1) / (count + 1));
    int failed = work(what, 0, parts / (count + 1));
    h = team->helpers;
    for (piece = 1; piece <= count; piece++, h = h->next) {
        await(h, &h->done, __atomic_load_n(&h->asked, __ATOMIC_RELAXED));
        if (h->failed) failed = h->failed;
    }
    return failed;
}
