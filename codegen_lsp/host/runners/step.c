/* One step of a Llama-family model on a CPU: int8 weights with one scale a row; what they are multiplied with is int16
   with one scale a position; keys and values are float16; everything else is float32.

   Reading the weights is what a step costs, so they are read once, as bytes, for all of its 1 … MAX_TOKENS positions.
   A vector holds two columns of LANES rows, so a sum stays in its lane from the first column to the last. Products of
   int8 and int16 are summed exactly, and everything else is done in the same order whatever the number of positions and
   threads: a draft that is verified gives bit for bit the logits of one position at a time.

   Built by build.py with the machine's own C compiler; without one the torch path of llama.py does the same. */

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512BW__) || (defined(__AVX2__) && defined(__FMA__) && defined(__F16C__))
#include <immintrin.h>
#endif

#define MAX_TOKENS 160 /* positions of a step */
#define TILE 12        /* positions that share what is read of a block of rows: more, and the sums do not fit the registers */
#define AHEAD 2048     /* bytes that are fetched ahead of their use; twice and half of it are slower */
#define PLACES 16      /* positions whose keys lie interleaved, so that a vector has one number of each */
#define HEADS 4        /* heads that share what is read of keys and values */
#define PIECE 32       /* rows of a matrix that a thread takes at once */
#define OWN 8          /* so few rows each thread prepares for itself: sooner done than waited for */
#define MAX_THREADS 64
#define SPINS 2000
#define FEW 8          /* steps of so many positions mostly wait for the weights, steps of more for their products */
#define SOON 8         /* steps to the first trial of the other way, twice as many to each next one, up to LATE */
#define LATE 256

/* -- vectors: LANES floats, as many int32, or twice as many int16 */

#if defined(__AVX512BW__)
#define LANES 16
typedef __m512 vec;
static inline vec v_zero(void) { return _mm512_setzero_ps(); }
static inline vec v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vec a) { _mm512_storeu_ps(p, a); }
static inline vec v_set(float a) { return _mm512_set1_ps(a); }
static inline vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec v_div(vec a, vec b) { return _mm512_div_ps(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }
static inline float v_sum(vec a) { return _mm512_reduce_add_ps(a); }
static inline vec v_round(vec a) { return _mm512_roundscale_ps(a, 0); }
static inline vec v_power(vec n) { /* 2^n for whole n */
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
typedef uint16_t half;
static inline vec h_load(const half *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline void h_store(half *p, vec a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, 0)); }
typedef __m512i ints;
static inline ints i_zero(void) { return _mm512_setzero_si512(); }
static inline ints i_spread(int32_t pair) { return _mm512_set1_epi32(pair); }
static inline ints i_widen(const int8_t *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
static inline ints i_add(ints a, ints b) { return _mm512_add_epi32(a, b); }
static inline ints i_dot(ints sum, ints a, ints b) {
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}
static inline vec i_float(ints a) { return _mm512_cvtepi32_ps(a); }
static inline void v_narrow(vec a, int16_t *y) {
    _mm256_storeu_si256((__m256i *)y, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(a)));
}
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define LANES 8
typedef __m256 vec;
static inline vec v_zero(void) { return _mm256_setzero_ps(); }
static inline vec v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vec a) { _mm256_storeu_ps(p, a); }
static inline vec v_set(float a) { return _mm256_set1_ps(a); }
static inline vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec v_div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
static inline vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }
static inline float v_sum(vec a) {
    __m128 part = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    part = _mm_add_ps(part, _mm_movehl_ps(part, part));
    return _mm_cvtss_f32(_mm_add_ss(part, _mm_shuffle_ps(part, part, 1)));
}
static inline vec v_round(vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vec v_power(vec n) { /* 2^n for whole n */
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
typedef uint16_t half;
static inline vec h_load(const half *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline void h_store(half *p, vec a) { _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, 0)); }
typedef __m256i ints;
static inline ints i_zero(void) { return _mm256_setzero_si256(); }
static inline ints i_spread(int32_t pair) { return _mm256_set1_epi32(pair); }
static inline ints i_widen(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
static inline ints i_add(ints a, ints b) { return _mm256_add_epi32(a, b); }
static inline ints i_dot(ints sum, ints a, ints b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
static inline vec i_float(ints a) { return _mm256_cvtepi32_ps(a); }
static inline void v_narrow(vec a, int16_t *y) {
    ints whole = _mm256_cvtps_epi32(a);
    _mm_storeu_si128((__m128i *)y, _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1)));
}
#else
#define LANES 4
typedef float vec __attribute__((vector_size(16)));
static inline vec v_zero(void) { return (vec){0, 0, 0, 0}; }
static inline vec v_load(const float *p) { vec a; memcpy(&a, p, sizeof a); return a; }
static inline void v_store(float *p, vec a) { memcpy(p, &a, sizeof a); }
static inline vec v_set(float a) { return (vec){a, a, a, a}; }
static inline vec v_mul(vec a, vec b) { return a * b; }
static inline vec v_div(vec a, vec b) { return a / b; }
static inline vec v_fma(vec a, vec b, vec c) { return a * b + c; }
static inline vec v_max(vec a, vec b) {
    for (int k = 0; k < LANES; k++) a[k] = a[k] > b[k] ? a[k] : b[k];
    return a;
}
static inline vec v_min(vec a, vec b) {
    for (int k = 0; k < LANES; k++) a[k] = a[k] < b[k] ? a[k] : b[k];
    return a;
}
static inline float v_sum(vec a) { return (a[0] + a[2]) + (a[1] + a[3]); }
static inline vec v_round(vec a) { return (vec){rintf(a[0]), rintf(a[1]), rintf(a[2]), rintf(a[3])}; }
static inline vec v_power(vec n) { return (vec){ldexpf(1, n[0]), ldexpf(1, n[1]), ldexpf(1, n[2]), ldexpf(1, n[3])}; }
typedef _Float16 half;
static inline vec h_load(const half *p) { return (vec){p[0], p[1], p[2], p[3]}; }
static inline void h_store(half *p, vec a) {
    for (int k = 0; k < LANES; k++) p[k] = (half)a[k];
}
typedef int16_t ints __attribute__((vector_size(16)));
typedef int32_t sums __attribute__((vector_size(16)));
typedef int8_t bytes8 __attribute__((vector_size(8)));
static inline ints i_zero(void) { return (ints){0}; }
static inline ints i_spread(int32_t pair) { return (ints)(sums){pair, pair, pair, pair}; }
static inline ints i_widen(const int8_t *p) { bytes8 b; memcpy(&b, p, sizeof b); return __builtin_convertvector(b, ints); }
static inline ints i_add(ints a, ints b) { return (ints)((sums)a + (sums)b); }
static inline ints i_dot(ints sum, ints a, ints b) {
    sums found = (sums)sum;
    for (int k = 0; k < LANES; k++) found[k] += (int32_t)a[2 * k] * b[2 * k] + (int32_t)a[2 * k + 1] * b[2 * k + 1];
    return (ints)found;
}
static inline vec i_float(ints a) { return __builtin_convertvector((sums)a, vec); }
static inline void v_narrow(vec a, int16_t *y) {
    for (int k = 0; k < LANES; k++) y[k] = (int16_t)rintf(a[k]);
}
#endif
#define WIDTH (2 * LANES) /* int16 of a vector */
static inline vec v_negative(vec a) { return v_mul(a, v_set(-1.0f)); }
static inline float v_most(vec a) {
    float all[LANES], most;
    v_store(all, a);
    most = all[0];
    for (int k = 1; k < LANES; k++) most = all[k] > most ? all[k] : most;
    return most;
}

/* e^x: 2^n times a polynomial (Cephes' coefficients), within 2 units of the last place; x is held to -87 … 88. */
static inline vec v_exp(vec x) {
    x = v_min(v_max(x, v_set(-87.0f)), v_set(88.0f));
    vec n = v_round(v_mul(x, v_set(1.44269504f)));
    x = v_fma(n, v_set(-0.693359375f), x);
    x = v_fma(n, v_set(2.12194440e-4f), x);
    vec y = v_set(1.9875691500e-4f);
    y = v_fma(y, x, v_set(1.3981999507e-3f));
    y = v_fma(y, x, v_set(8.3334519073e-3f));
    y = v_fma(y, x, v_set(4.1665795894e-2f));
    y = v_fma(y, x, v_set(1.6666665459e-1f));
    y = v_fma(y, x, v_set(5.0000001201e-1f));
    y = v_fma(v_mul(y, x), x, v_fma(x, v_set(1.0f), v_set(1.0f)));
    return v_mul(y, v_power(n));
}

/* -- the model, as compiled.py describes it with ctypes */

typedef struct {
    const int8_t *rows;   /* (num rows / LANES, columns / 2, LANES, 2) */
    const float *scales;  /* (num rows,) */
} Matrix;

typedef struct {
    const float *norm_in, *norm_mid;
    Matrix qkv, out, up, down;      /* up: gate's rows, then up's */
    const float *qkv_bias, *out_bias, *norm_q, *norm_k; /* or NULL */
} Layer;

typedef struct {
    int32_t layers, hidden, inner, heads, kv_heads, head_size, vocab, threads;
    float eps;
    int32_t positions;
    const Layer *layer;
    Matrix embedding, head;
    const float *norm;
    const float *cos, *sin;         /* (positions, head_size) */
} Model;

/* Positions of one or several sequences: those of one follow each other, and each sees what its store holds before it. */
typedef struct {
    const int32_t *ids, *place, *capacity;  /* (num,): token, its position, and how many its store has room for */
    half **keys, **values;                  /* (num,): the store of each, (layers, kv_heads, capacity, head_size); of keys, */
                                            /* PLACES positions lie as (head_size, PLACES) */
    const int32_t *wanted;                  /* (num_logits,): the positions whose logits are wanted */
    int32_t *best;                          /* (num_logits,): the likeliest id after each */
    float *totals;                          /* (num_logits,): the log of the sum of e^logit */
    float *logits;                          /* (num_logits, vocab up to a multiple of LANES) */
    int32_t num, num_logits;
} Step;

/* What greedy decoding needs to go on for a few steps. */
typedef struct {
    int32_t *history;        /* (num + most,): all ids so far, the step's first one the last; more are written behind it */
    const uint8_t *pauses;   /* (vocab,): not 0 for ids after which somebody should look */
    int32_t num, drafts[3];  /* as Runner.draft_tokens */
    int32_t most, steps;     /* positions and steps at most */
    int32_t num_rows, num_drafted, num_accepted; /* what came of it */
} Greedy;

/* Rows of int16 with one scale each, as matrices are multiplied with them: two columns of all rows, then the next two. */
typedef struct {
    int32_t *pairs;  /* (columns / 2, num) */
    float *scales;   /* (num,) */
    int32_t columns, num;
} Rows;

/* What is known of a kind of step: seconds for a position's work, and when the slower way is tried again. */
typedef struct {
    double alone, together;
    int is_together, pause, left;
} Kind;

typedef struct {
    const Model *model;
    float *x, *q, *mixed, *inner;           /* (MAX_TOKENS, …) */
    float *row;                             /* (threads, hidden): a thread's own */
    int32_t *pairs;                         /* room for Rows: MAX_TOKENS that all threads share, then OWN for each */
    float *scales;
    size_t wide;                            /* pairs of the widest row */
    float *scores;                          /* (threads, heads of a group, positions) */
    int32_t num_scores;
    const Step *step;
    void *rooms[16];
    int num_rooms, threads;
    pthread_t thread[MAX_THREADS];
    /* A barrier: spin a little, since the others are mostly about to come; then sleep, since they may not be running. */
    atomic_int arrived, phase, sleepers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_int next;                        /* the next piece of work of this phase */
    int active;                             /* threads that take part in this step */
    Kind kinds[2];                          /* of steps: of few positions, and of more */
    atomic_int turn;                        /* counts steps; workers wait for it to change */
    atomic_int is_stopping;
} Pool;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void await(Pool *pool, atomic_int *value, int old) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(value, memory_order_acquire) != old) return;
        relax();
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(value) == old) pthread_cond_wait(&pool->changed, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void advance(Pool *pool, atomic_int *value) {
    atomic_fetch_add(value, 1);
    if (atomic_load(&pool->sleepers)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->changed);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void barrier(Pool *pool) {
    int phase = atomic_load_explicit(&pool->phase, memory_order_acquire);
    if (atomic_fetch_add(&pool->arrived, 1) + 1 == pool->active) {
        atomic_store(&pool->arrived, 0);
        atomic_store(&pool->next, 0);
        advance(pool, &pool->phase);
    } else {
        await(pool, &pool->phase, phase);
    }
}

static inline int take(Pool *pool) { return atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed); }

/* -- arithmetic */

/* y[t * stride + r] = row r . x[t] for the LANES rows of the block at `w`, and T positions from `t` on. Each sum is made
   of P, since the next product does not wait for the last one's sum then. No sum overflows: see `limit`. */
static inline __attribute__((always_inline)) void rows_of_block(
    const int T, const int P, const int8_t *w, const float *scales, const Rows *x, int t0, float *y, int stride
) {
    ints sum[8][TILE];
    const int32_t *pair = x->pairs + t0;
    for (int p = 0; p < P; p++)
        for (int t = 0; t < T; t++) sum[p][t] = i_zero();
    for (int c = 0; c < x->columns; c += 2 * P)
        for (int p = 0; p < P; p++, w += WIDTH, pair += x->num) {
            if (p * WIDTH % 64 == 0) __builtin_prefetch(w + AHEAD);
            ints v = i_widen(w);
            for (int t = 0; t < T; t++) sum[p][t] = i_dot(sum[p][t], v, i_spread(pair[t]));
        }
    for (int t = 0; t < T; t++) {
        for (int p = 1; p < P; p++) sum[0][t] = i_add(sum[0][t], sum[p][t]);
        v_store(y + (size_t)t * stride, v_mul(v_mul(v_load(scales), v_set(x->scales[t0 + t])), i_float(sum[0][t])));
    }
}

/* y (x->num, stride) = `num` rows of a matrix, from `first` on, times the rows of x; both multiples of LANES. */
static void multiply(Matrix m, int first, int num, const Rows *x, float *y, int stride) {
    int tiles = (x->num + TILE - 1) / TILE;
    for (int tile = 0, t = 0, T; tile < tiles; tile++, t += T) {
        T = (x->num - t + tiles - tile - 1) / (tiles - tile);
        for (int n = 0; n < num; n += LANES) {
            const int8_t *w = m.rows + (size_t)(first + n) * x->columns;
            const float *scales = m.scales + first + n;
            float *to = y + (size_t)t * stride + n;
            switch (T) {
                case 1: rows_of_block(1, 8, w, scales, x, t, to, stride); break;
                case 2: rows_of_block(2, 4, w, scales, x, t, to, stride); break;
                case 3: rows_of_block(3, 2, w, scales, x, t, to, stride); break;
                case 4: rows_of_block(4, 2, w, scales, x, t, to, stride); break;
                case 5: rows_of_block(5, 1, w, scales, x, t, to, stride); break;
                case 6: rows_of_block(6, 1, w, scales, x, t, to, stride); break;
                case 7: rows_of_block(7, 1, w, scales, x, t, to, stride); break;
                case 8: rows_of_block(8, 1, w, scales, x, t, to, stride); break;
                case 9: rows_of_block(9, 1, w, scales, x, t, to, stride); break;
                case 10: rows_of_block(10, 1, w, scales, x, t, to, stride); break;
                case 11: rows_of_block(11, 1, w, scales, x, t, to, stride); break;
                default: rows_of_block(12, 1, w, scales, x, t, to, stride); break;
            }
        }
    }
}

static inline int whole(int rows) { return (rows + LANES - 1) / LANES * LANES; }

static void rms_norm(const float *x, const float *weight, int size, float eps, float *y) {
    vec sum = v_zero();
    for (int c = 0; c < size; c += LANES) sum = v_fma(v_load(x + c), v_load(x + c), sum);
    vec scale = v_set(1.0f / sqrtf(v_sum(sum) / size + eps));
    for (int c = 0; c < size; c += LANES) v_store(y + c, v_mul(v_mul(v_load(x + c), scale), v_load(weight + c)));
}

/* The largest int16 with which no sum can overflow: it has `columns` products with up to 127. */
static inline float limit(int columns) {
    int most = 2147483647 / 127 / columns;
    return most > 32767 ? 32767.0f : most;
}

/* x (columns,) as row t of `y`. */
static void narrow(const float *x, const Rows *y, int t) {
    vec top = v_zero();
    for (int c = 0; c < y->columns; c += LANES) top = v_max(top, v_max(v_load(x + c), v_negative(v_load(x + c))));
    float most = v_most(top);
    y->scales[t] = most / limit(y->columns);
    vec up = v_set(most > 0.0f ? limit(y->columns) / most : 0.0f);
    int32_t *to = y->pairs + t;
    for (int c = 0; c < y->columns; c += LANES) {
        int32_t each[LANES / 2];
        v_narrow(v_mul(v_load(x + c), up), (int16_t *)each);
        for (int k = 0; k < LANES / 2; k++, to += y->num) *to = each[k];
    }
}

static void rotate(float *x, const float *cos, const float *sin, int size) {
    int middle = size / 2;
    for (int c = 0; c < middle; c++) {
        float left = x[c], right = x[c + middle];
        x[c] = left * cos[c] - right * sin[c];
        x[c + middle] = right * cos[c + middle] + left * sin[c + middle];
    }
}

/* scores[h * stride + n] = query h (H, size) . key n, for PLACES keys. */
static inline __attribute__((always_inline)) void score(
    const int H, const float *q, const half *keys, int size, float *scores, int stride
) {
    vec sum[HEADS][PLACES / LANES];
    for (int h = 0; h < H; h++)
        for (int k = 0; k < PLACES / LANES; k++) sum[h][k] = v_zero();
    for (int c = 0; c < size; c++, keys += PLACES)
        for (int k = 0; k < PLACES / LANES; k++) {
            vec each = h_load(keys + k * LANES);
            for (int h = 0; h < H; h++) sum[h][k] = v_fma(v_set(q[(size_t)h * size + c]), each, sum[h][k]);
        }
    for (int h = 0; h < H; h++)
        for (int k = 0; k < PLACES / LANES; k++) v_store(scores + (size_t)h * stride + k * LANES, sum[h][k]);
}

/* scores (padded,) of `length` positions to weights: softmax of scores / sqrt(size), 0 in the padding. */
static void soften(float *scores, int length, int padded, int size) {
    for (int n = length; n < padded; n++) scores[n] = scores[0];
    vec most = v_load(scores), scale = v_set(1.0f / sqrtf((float)size)), total = v_zero();
    for (int n = LANES; n < padded; n += LANES) most = v_max(most, v_load(scores + n));
    vec highest = v_mul(v_set(-v_most(most)), scale);
    for (int n = 0; n < padded; n += LANES) v_store(scores + n, v_exp(v_fma(v_load(scores + n), scale, highest)));
    for (int n = length; n < padded; n++) scores[n] = 0.0f;
    for (int n = 0; n < padded; n += LANES) total = v_fma(v_load(scores + n), v_set(1.0f), total);
    vec share = v_set(1.0f / v_sum(total));
    for (int n = 0; n < padded; n += LANES) v_store(scores + n, v_mul(v_load(scores + n), share));
}

/* y (H, size), `lanes` vectors of each = weights (H, stride), the first `num` of each, times values (num, size). */
static inline __attribute__((always_inline)) void weigh(
    const int H, const int lanes, const float *weights, int stride, const half *values, int num, int size, float *y
) {
    vec sum[HEADS][2];
    for (int h = 0; h < H; h++)
        for (int k = 0; k < lanes; k++) sum[h][k] = v_zero();
    for (int n = 0; n < num; n++) {
        vec each[2];
        for (int k = 0; k < lanes; k++) each[k] = h_load(values + (size_t)n * size + k * LANES);
        for (int h = 0; h < H; h++)
            for (int k = 0; k < lanes; k++) sum[h][k] = v_fma(v_set(weights[(size_t)h * stride + n]), each[k], sum[h][k]);
    }
    for (int h = 0; h < H; h++)
        for (int k = 0; k < lanes; k++) v_store(y + (size_t)h * size + k * LANES, sum[h][k]);
}

/* Attention of H <= HEADS heads that share keys and values of `length` positions: q and y (H, size), scores (H, stride). */
static inline __attribute__((always_inline)) void attend(
    const int H, const float *q, const half *keys, const half *values, int length, int size, float *scores, int stride,
    float *y
) {
    int padded = (length + PLACES - 1) / PLACES * PLACES, c = 0;
    for (int n = 0; n < padded; n += PLACES) score(H, q, keys + (size_t)n * size, size, scores + n, stride);
    for (int h = 0; h < H; h++) soften(scores + (size_t)h * stride, length, padded, size);
    for (; c + 2 * LANES <= size; c += 2 * LANES) weigh(H, 2, scores, stride, values + c, length, size, y + c);
    for (; c < size; c += LANES) weigh(H, 1, scores, stride, values + c, length, size, y + c);
}

/* -- phases of a layer; each thread runs all of them and takes pieces of work */

/* What a phase multiplies: `num` rows of x, or those in `wanted`, normed by `weight` if there is one. */
static Rows prepare(
    Pool *pool, int worker, const float *x, int columns, const float *weight, const int32_t *wanted, int num
) {
    int is_own = num <= OWN;
    size_t first = is_own ? MAX_TOKENS + (size_t)worker * OWN : 0;
    Rows rows = {pool->pairs + first * pool->wide, pool->scales + first, columns, num};
    float *row = pool->row + (size_t)worker * pool->model->hidden;
    for (int n = is_own ? 0 : take(pool); n < num; n = is_own ? n + 1 : take(pool)) {
        const float *from = x + (size_t)(wanted ? wanted[n] : n) * columns;
        if (weight) rms_norm(from, weight, columns, pool->model->eps, row);
        narrow(weight ? row : from, &rows, n);
    }
    if (!is_own) barrier(pool);
    return rows;
}

static void embed(Pool *pool) {
    const Model *m = pool->model;
    for (int t; (t = take(pool)) < pool->step->num;) {
        int id = pool->step->ids[t];
        const int8_t *w = m->embedding.rows + (size_t)(id / LANES * LANES) * m->hidden + id % LANES * 2;
        float *x = pool->x + (size_t)t * m->hidden;
        for (int c = 0; c < m->hidden; c += 2, w += WIDTH)
            x[c] = w[0] * m->embedding.scales[id], x[c + 1] = w[1] * m->embedding.scales[id];
    }
}

/* A head's row of position t to where it belongs: the queries, or the store of its sequence. */
static void put(Pool *pool, int number, int unit, int t, const float *row) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    int size = m->head_size, place = s->place[t], head = (unit - m->heads) % m->kv_heads;
    if (unit < m->heads) {
        memcpy(pool->q + ((size_t)t * m->heads + unit) * size, row, size * sizeof(float));
        return;
    }
    size_t base = ((size_t)number * m->kv_heads + head) * s->capacity[t] * size;
    if (unit >= m->heads + m->kv_heads) {
        for (int c = 0; c < size; c += LANES) h_store(s->values[t] + base + (size_t)place * size + c, v_load(row + c));
        return;
    }
    half *key = s->keys[t] + base + (size_t)(place / PLACES * PLACES) * size + place % PLACES;
    for (int c = 0; c < size; c += LANES) {
        half each[LANES];
        h_store(each, v_load(row + c));
        for (int k = 0; k < LANES; k++) key[(size_t)(c + k) * PLACES] = each[k];
    }
}

static void project(Pool *pool, int worker, const Layer *layer, int number) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    int size = m->head_size, units = m->heads + 2 * m->kv_heads;
    Rows in = prepare(pool, worker, pool->x, m->hidden, layer->norm_in, NULL, s->num);
    float part[MAX_TOKENS * 256];
    for (int unit; (unit = take(pool)) < units;) {
        multiply(layer->qkv, unit * size, size, &in, part, size);
        for (int t = 0; t < s->num; t++) {
            float *row = part + t * size;
            size_t angle = (size_t)s->place[t] * size;
            if (layer->qkv_bias)
                for (int c = 0; c < size; c++) row[c] += layer->qkv_bias[unit * size + c];
            if (unit < m->heads + m->kv_heads) {
                const float *norm = unit < m->heads ? layer->norm_q : layer->norm_k;
                if (norm) rms_norm(row, norm, size, m->eps, row);
                rotate(row, m->cos + angle, m->sin + angle, size);
            }
            put(pool, number, unit, t, row);
        }
    }
}

static void mix(Pool *pool, int number, int worker) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    int size = m->head_size, group = m->heads / m->kv_heads, stride = pool->num_scores;
    /* As many heads of a group at once as leave each thread something to do. */
    int most = group < HEADS ? group : HEADS, together = m->kv_heads * s->num >= pool->active ? most : 1;
    int parts = (group + together - 1) / together, units = m->kv_heads * parts;
    float *scores = pool->scores + (size_t)worker * HEADS * stride;
    for (int unit; (unit = take(pool)) < units * s->num;) {
        int t = unit % s->num, kv_head = unit / s->num / parts, first = unit / s->num % parts * together;
        size_t at = ((size_t)number * m->kv_heads + kv_head) * s->capacity[t] * size;
        size_t head = ((size_t)t * m->heads + kv_head * group + first) * size;
        const float *q = pool->q + head;
        const half *keys = s->keys[t] + at, *values = s->values[t] + at;
        float *y = pool->mixed + head;
        switch (group - first < together ? group - first : together) {
            case 1: attend(1, q, keys, values, s->place[t] + 1, size, scores, stride, y); break;
            case 2: attend(2, q, keys, values, s->place[t] + 1, size, scores, stride, y); break;
            case 3: attend(3, q, keys, values, s->place[t] + 1, size, scores, stride, y); break;
            default: attend(4, q, keys, values, s->place[t] + 1, size, scores, stride, y); break;
        }
    }
}

/* x += rows of a matrix times `in`. */
static void add(Pool *pool, int worker, Matrix matrix, const float *bias, const float *x, int columns) {
    int hidden = pool->model->hidden, T = pool->step->num;
    Rows in = prepare(pool, worker, x, columns, NULL, NULL, T);
    float part[MAX_TOKENS * PIECE];
    for (int unit; (unit = take(pool)) * PIECE < hidden;) {
        int first = unit * PIECE, num = hidden - first < PIECE ? hidden - first : PIECE;
        multiply(matrix, first, num, &in, part, PIECE);
        for (int t = 0; t < T; t++)
            for (int r = 0; r < num; r++)
                pool->x[(size_t)t * hidden + first + r] += part[t * PIECE + r] + (bias ? bias[first + r] : 0.0f);
    }
}

static void gate(Pool *pool, int worker, const Layer *layer) {
    const Model *m = pool->model;
    int T = pool->step->num, inner = m->inner;
    Rows in = prepare(pool, worker, pool->x, m->hidden, layer->norm_mid, NULL, T);
    float opened[MAX_TOKENS * PIECE], part[MAX_TOKENS * PIECE];
    for (int unit; (unit = take(pool)) * PIECE < inner;) {
        int first = unit * PIECE, num = inner - first < PIECE ? inner - first : PIECE;
        multiply(layer->up, first, num, &in, opened, PIECE);
        multiply(layer->up, inner + first, num, &in, part, PIECE);
        for (int t = 0; t < T; t++)
            for (int r = 0; r < num; r += LANES) {
                vec a = v_load(opened + t * PIECE + r), b = v_load(part + t * PIECE + r);
                vec silu = v_div(a, v_fma(v_exp(v_negative(a)), v_set(1.0f), v_set(1.0f)));
                v_store(pool->inner + (size_t)t * inner + first + r, v_mul(silu, b));
            }
    }
}

static void read_out(Pool *pool, int worker) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    int vocab = whole(m->vocab);
    Rows in = prepare(pool, worker, pool->x, m->hidden, m->norm, s->wanted, s->num_logits);
    for (int unit; (unit = take(pool)) * 4 * PIECE < vocab;) {
        int first = unit * 4 * PIECE, num = vocab - first < 4 * PIECE ? vocab - first : 4 * PIECE;
        multiply(m->head, first, num, &in, s->logits + first, vocab);
    }
}

/* The likeliest id of each row of logits, and the log of the sum of all e^logit. */
static void sum_up(Pool *pool) {
    const Step *s = pool->step;
    int vocab = whole(pool->model->vocab);
    for (int n; (n = take(pool)) < s->num_logits;) {
        float *row = s->logits + (size_t)n * vocab;
        for (int c = pool->model->vocab; c < vocab; c++) row[c] = -INFINITY;
        vec tops = v_load(row), total = v_zero();
        for (int c = LANES; c < vocab; c += LANES) tops = v_max(tops, v_load(row + c));
        float top = v_most(tops);
        for (int c = 0; c < vocab; c += LANES)
            total = v_fma(v_exp(v_fma(v_load(row + c), v_set(1.0f), v_set(-top))), v_set(1.0f), total);
        s->totals[n] = top + logf(v_sum(total));
        s->best[n] = 0;
        while (s->best[n] + 1 < vocab && row[s->best[n]] != top) s->best[n]++;
    }
}

static void run(Pool *pool, int worker) {
    const Model *m = pool->model;
    embed(pool);
    barrier(pool);
    for (int number = 0; number < m->layers; number++) {
        const Layer *layer = m->layer + number;
        project(pool, worker, layer, number);
        barrier(pool);
        mix(pool, number, worker);
        barrier(pool);
        add(pool, worker, layer->out, layer->out_bias, pool->mixed, m->heads * m->head_size);
        barrier(pool);
        gate(pool, worker, layer);
        barrier(pool);
        add(pool, worker, layer->down, NULL, pool->inner, m->inner);
        barrier(pool);
    }
    read_out(pool, worker);
    barrier(pool);
    sum_up(pool);
    barrier(pool);
}

void step_run(Pool *pool, const Step *step);

/* -- greedy decoding goes on by itself, so that nobody has to be asked between two steps */

/* What followed the last tokens before is likely to follow them again: draft.py's Lookup. */
static int draft(const Greedy *g, int32_t *found, int room) {
    static const int sizes[] = {5, 3, 2};
    for (int n = 0; n < 3; n++) {
        int size = sizes[n], most = g->drafts[2 - n] < room ? g->drafts[2 - n] : room;
        const int32_t *end = g->history + g->num - size;
        for (int at = g->num - size - 1; at >= 0; at--) {
            if (memcmp(g->history + at, end, size * sizeof(int32_t))) continue;
            int known = g->num - at - size;
            if (most > known) most = known;
            memcpy(found, g->history + at + size, most * sizeof(int32_t));
            return most;
        }
    }
    return 0;
}

/* `step` is of one sequence and wants all logits: `g->most` rows of them, and of `best` and `totals`, have room. */
void step_greedy(Pool *pool, const Step *step, Greedy *g) {
    int32_t ids[FEW], places[FEW], capacity[FEW], wanted[FEW];
    half *keys[FEW], *values[FEW];
    int num = step->num, place = step->place[0], vocab = whole(pool->model->vocab);
    memcpy(ids, step->ids, num * sizeof(int32_t));
    for (int n = 0; n < FEW; n++) {
        capacity[n] = step->capacity[0], wanted[n] = n;
        keys[n] = step->keys[0], values[n] = step->values[0];
    }
    for (g->num_rows = g->num_drafted = g->num_accepted = 0;;) {
        int32_t *best = step->best + g->num_rows;
        for (int n = 0; n < num; n++) places[n] = place + n;
        Step one = {ids, places, capacity, keys, values, wanted, best, step->totals + g->num_rows,
                    step->logits + (size_t)g->num_rows * vocab, num, num};
        step_run(pool, &one);
        int right = 1, is_pause = g->pauses[best[0]];
        for (; right < num && best[right - 1] == ids[right]; right++) is_pause |= g->pauses[best[right]];
        g->num_drafted += num - 1, g->num_accepted += right - 1;
        for (int n = 1; n < right; n++) g->history[g->num++] = ids[n];
        g->num_rows += right, place += right;
        int room = g->most - g->num_rows;
        if (is_pause || --g->steps <= 0 || room <= 0) return;
        ids[0] = g->history[g->num++] = best[right - 1];
        num = 1 + draft(g, ids + 1, room - 1 < FEW - 1 ? room - 1 : FEW - 1);
    }
}

typedef struct { Pool *pool; int worker; } Worker;

static void *work(void *argument) {
    Worker own = *(Worker *)argument;
    free(argument);
    for (int turn = 0;; turn++) {
        await(own.pool, &own.pool->turn, turn);
        if (atomic_load(&own.pool->is_stopping)) return NULL;
        run(own.pool, own.worker);
    }
}

/* -- what compiled.py calls */

int step_lanes(void) { return LANES; }

static void *room(Pool *pool, size_t num, size_t each) { return pool->rooms[pool->num_rooms++] = malloc(num * each); }

/* One thread more; 0 when there is none to be had. */
static int hire(Pool *pool) {
    Worker *worker = malloc(sizeof(Worker));
    if (!worker) return 0;
    *worker = (Worker){pool, pool->threads};
    if (pthread_create(&pool->thread[pool->threads], NULL, work, worker)) {
        free(worker);
        return 0;
    }
    pool->threads++;
    return 1;
}

void step_close(Pool *pool) {
    atomic_store(&pool->is_stopping, 1);
    advance(pool, &pool->turn);
    for (int n = 1; n < pool->threads; n++) pthread_join(pool->thread[n], NULL);
    for (int n = 0; n < pool->num_rooms; n++) free(pool->rooms[n]);
    free(pool);
}

/* NULL when memory is short. Threads that cannot be had are done without. */
Pool *step_open(const Model *model) {
    Pool *pool = calloc(1, sizeof(Pool));
    if (!pool) return NULL;
    size_t wide = (size_t)model->heads * model->head_size, threads = model->threads;
    pool->model = model, pool->threads = 1;
    pool->num_scores = (model->positions + PLACES - 1) / PLACES * PLACES;
    pool->wide = (wide > (size_t)model->inner ? wide : (size_t)model->inner) / 2;
    if (pool->wide < (size_t)model->hidden / 2) pool->wide = model->hidden / 2;
    pool->x = room(pool, MAX_TOKENS, model->hidden * sizeof(float));
    pool->q = room(pool, MAX_TOKENS, wide * sizeof(float));
    pool->mixed = room(pool, MAX_TOKENS, wide * sizeof(float));
    pool->inner = room(pool, MAX_TOKENS, model->inner * sizeof(float));
    pool->row = room(pool, threads, model->hidden * sizeof(float));
    pool->pairs = room(pool, MAX_TOKENS + OWN * threads, pool->wide * sizeof(int32_t));
    pool->scales = room(pool, MAX_TOKENS + OWN * threads, sizeof(float));
    pool->scores = room(pool, threads * HEADS, pool->num_scores * sizeof(float));
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    for (int n = 0; n < pool->num_rooms; n++)
        if (!pool->rooms[n]) {
            step_close(pool);
            return NULL;
        }
    while (pool->threads < model->threads && hire(pool)) {}
    return pool;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

/* Two processors may be one core's two halves, or busy with something else: then a step is faster alone, since nobody
   waits for anybody. What is faster is measured all the time, the other way tried now and then. */
static int is_better_together(Pool *pool, Kind *kind) {
    if (pool->threads == 1 || !kind->alone) return 0;
    if (!kind->together) return 1;
    int is_better = kind->together < 0.9 * kind->alone;
    if (is_better != kind->is_together) kind->is_together = is_better, kind->pause = kind->left = SOON;
    if (kind->left-- > 0) return is_better;
    kind->left = kind->pause = 2 * kind->pause < LATE ? 2 * kind->pause : LATE;
    return !is_better;
}

/* Good news is believed at once, since something else's work may just have ended; bad news when it comes again. */
static void learn(double *mean, double cost) {
    if (!*mean || cost < *mean) *mean = cost;
    else *mean += 0.25 * ((cost < 2 * *mean ? cost : 2 * *mean) - *mean);
}

void step_run(Pool *pool, const Step *step) {
    Kind *kind = &pool->kinds[step->num > FEW];
    int together = is_better_together(pool, kind);
    double began = seconds();
    pool->step = step;
    pool->active = together ? pool->threads : 1;
    atomic_store(&pool->next, 0);
    if (together) advance(pool, &pool->turn);
    run(pool, 0);
    /* Beside the weights a position more costs little. */
    double work = step->num > FEW ? step->num : 1 + 0.17 * (step->num - 1);
    learn(together ? &kind->together : &kind->alone, (seconds() - began) / work);
}
