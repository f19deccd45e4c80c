/* Waiting for another thread a moment longer before sleep: a processor that slept takes longer to wake than the work
   takes that was waited for. Others that want the processor have it meanwhile: torch's own threads, first of all. */

#include <sched.h>
#include <stdint.h>
#include <time.h>

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Waits until a number is no longer `old`, for so many nanoseconds at most. */
void wait_while(const int64_t *number, int64_t old, int64_t most) {
    int64_t until = now() + most;
    do {
        for (int i = 0; i < 64; i++) {
            if (__atomic_load_n(number, __ATOMIC_ACQUIRE) != old) return;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        sched_yield();
    } while (now() < until);
}
