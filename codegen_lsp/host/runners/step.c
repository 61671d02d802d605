/* One step of a Llama-family model on a CPU: int8 weights with one scale a row; what they are multiplied with is int16
   with one scale a position; everything else is float32.

   Reading the weights is what a step costs, so they are read once, as bytes, for all of its 1 … MAX_TOKENS positions.
   Products of int8 and int16 are summed exactly (16 at once with AVX2, where float32 does 8), and everything else is done
   in the same order whatever the number of positions and threads: a draft that is verified gives bit for bit the logits
   of one position at a time.

   Built by compiled.py with the machine's own C compiler; without one the torch path of llama.py does the same. */

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#endif

#define MAX_TOKENS 160 /* positions of a step */
#define TILE 4         /* positions that share what is read of a row: more, and the sums do not fit the registers */
#define BLOCK 8        /* rows that lie interleaved in memory, a vector of each in turn: one stream, read straight on */
#define AHEAD 2048     /* bytes that are fetched ahead of their use; twice and half of it are slower */
#define SKEW 32        /* numbers between rows of activations: rows a power of two apart would share few cache sets */
#define NEAR 32        /* values that stay in the nearest cache while all heads are served */
#define PIECE 32       /* rows of a matrix that a thread takes at once */
#define MAX_THREADS 64
#define SPINS 2000
#define FEW 8          /* steps of more positions are taken for one kind of step */
#define TRIAL 32       /* steps from one trial to the next */

/* -- vectors: LANES floats */

#if defined(__AVX512F__)
#define LANES 16
typedef __m512 vec;
static inline vec v_zero(void) { return _mm512_setzero_ps(); }
static inline vec v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vec a) { _mm512_storeu_ps(p, a); }
static inline vec v_set(float a) { return _mm512_set1_ps(a); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline float v_sum(vec a) { return _mm512_reduce_add_ps(a); }
static inline void v_sum4(vec a, vec b, vec c, vec d, float *y) {
    y[0] = v_sum(a), y[1] = v_sum(b), y[2] = v_sum(c), y[3] = v_sum(d);
}
static inline vec v_round(vec a) { return _mm512_roundscale_ps(a, 0); }
static inline vec v_power(vec n) { /* 2^n for whole n */
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
static inline vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }
typedef __m512i ints; /* LANES int32, or WIDTH int16 */
static inline ints i_zero(void) { return _mm512_setzero_si512(); }
static inline ints i_load(const int16_t *p) { return _mm512_loadu_si512(p); }
static inline ints i_widen(const int8_t *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
static inline ints i_dot(ints sum, ints a, ints b) {
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, a, b);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}
static inline vec i_float(ints a) { return _mm512_cvtepi32_ps(a); }
static inline void v_narrow(vec a, vec b, int16_t *y) {
    _mm256_storeu_si256((__m256i *)y, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(a)));
    _mm256_storeu_si256((__m256i *)(y + LANES), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(b)));
}
#elif defined(__AVX2__) && defined(__FMA__)
#define LANES 8
typedef __m256 vec;
static inline vec v_zero(void) { return _mm256_setzero_ps(); }
static inline vec v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vec a) { _mm256_storeu_ps(p, a); }
static inline vec v_set(float a) { return _mm256_set1_ps(a); }
static inline vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline float v_sum(vec a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}
static inline void v_sum4(vec a, vec b, vec c, vec d, float *y) {
    vec all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(y, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}
static inline vec v_round(vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vec v_power(vec n) { /* 2^n for whole n */
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
static inline vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
typedef __m256i ints; /* LANES int32, or WIDTH int16 */
static inline ints i_zero(void) { return _mm256_setzero_si256(); }
static inline ints i_load(const int16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline ints i_widen(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
static inline ints i_dot(ints sum, ints a, ints b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
static inline vec i_float(ints a) { return _mm256_cvtepi32_ps(a); }
static inline void v_narrow(vec a, vec b, int16_t *y) {
    ints both = _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));
    _mm256_storeu_si256((ints *)y, _mm256_permute4x64_epi64(both, 0xD8));
}
#else
#define LANES 4
typedef float vec __attribute__((vector_size(16)));
static inline vec v_zero(void) { return (vec){0, 0, 0, 0}; }
static inline vec v_load(const float *p) { vec a; memcpy(&a, p, sizeof a); return a; }
static inline void v_store(float *p, vec a) { memcpy(p, &a, sizeof a); }
static inline vec v_set(float a) { return (vec){a, a, a, a}; }
static inline vec v_fma(vec a, vec b, vec c) { return a * b + c; }
static inline float v_sum(vec a) { return (a[0] + a[2]) + (a[1] + a[3]); }
static inline void v_sum4(vec a, vec b, vec c, vec d, float *y) {
    y[0] = v_sum(a), y[1] = v_sum(b), y[2] = v_sum(c), y[3] = v_sum(d);
}
static inline vec v_round(vec a) { return (vec){rintf(a[0]), rintf(a[1]), rintf(a[2]), rintf(a[3])}; }
static inline vec v_power(vec n) { return (vec){ldexpf(1, n[0]), ldexpf(1, n[1]), ldexpf(1, n[2]), ldexpf(1, n[3])}; }
static inline vec v_max(vec a, vec b) {
    for (int c = 0; c < LANES; c++) a[c] = a[c] > b[c] ? a[c] : b[c];
    return a;
}
typedef int16_t ints __attribute__((vector_size(16))); /* WIDTH int16; as sums: */
typedef int32_t sums __attribute__((vector_size(16)));
typedef int8_t bytes8 __attribute__((vector_size(8)));
static inline ints i_zero(void) { return (ints){0}; }
static inline ints i_load(const int16_t *p) { ints a; memcpy(&a, p, sizeof a); return a; }
static inline ints i_widen(const int8_t *p) { bytes8 b; memcpy(&b, p, sizeof b); return __builtin_convertvector(b, ints); }
static inline ints i_dot(ints sum, ints a, ints b) {
    sums found = (sums)sum;
    for (int k = 0; k < LANES; k++) found[k] += (int32_t)a[2 * k] * b[2 * k] + (int32_t)a[2 * k + 1] * b[2 * k + 1];
    return (ints)found;
}
static inline vec i_float(ints a) { return __builtin_convertvector((sums)a, vec); }
static inline void v_narrow(vec a, vec b, int16_t *y) {
    for (int k = 0; k < LANES; k++) y[k] = (int16_t)rintf(a[k]), y[LANES + k] = (int16_t)rintf(b[k]);
}
#endif
#define WIDTH (2 * LANES) /* int16 of a vector */
static inline vec v_mul(vec a, vec b) { return v_fma(a, b, v_zero()); }

/* e^x for x <= 0: 2^n times a polynomial (Cephes' coefficients), within 2 units of the last place; 0 below e^-87. */
static inline vec v_exp(vec x) {
    x = v_max(x, v_set(-87.0f));
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
    const int8_t *rows;   /* (num rows / BLOCK, columns / WIDTH, BLOCK, WIDTH) */
    const float *scales;  /* (num rows,) */
} Matrix;

typedef struct {
    const float *norm_in, *norm_mid;
    Matrix qkv, out, up, down;      /* up: gate's rows, then up's */
    const float *qkv_bias, *out_bias, *norm_q, *norm_k; /* or NULL */
} Layer;

typedef struct {
    int32_t layers, hidden, inner, heads, kv_heads, head_size, vocab, threads; /* vocab: a multiple of BLOCK */
    float eps;
    int32_t unused;
    const Layer *layer;
    Matrix embedding, head;
    const float *norm;
    const float *cos, *sin;         /* (positions, head_size) */
} Model;

/* Positions of one or several sequences: those of one follow each other, and each sees what its store holds before it. */
typedef struct {
    const int32_t *ids, *place, *capacity;  /* (num,): token, its position, and how many its store has room for */
    float **keys, **values;                 /* (num,): the store of each, (layers, kv_heads, capacity, head_size) */
    const int32_t *wanted;                  /* (num_logits,): the positions whose logits are wanted */
    float *logits;                          /* (num_logits, vocab) */
    int32_t num, num_logits;
} Step;

/* Rows of int16 with one scale each, as matrices are multiplied with them. */
typedef struct {
    int16_t *values; /* (MAX_TOKENS, columns + SKEW) */
    float *scales;   /* (MAX_TOKENS,) */
    int32_t columns;
} Rows;

typedef struct {
    const Model *model;
    float *x, *q, *mixed, *inner;           /* (MAX_TOKENS, …) */
    float *row;                             /* (threads, hidden): a thread's own */
    Rows normed, narrow_mixed, narrow_inner;
    float *scores;                          /* (threads, heads of a group, positions) */
    int32_t num_scores;
    const Step *step;
    pthread_t thread[MAX_THREADS];
    /* A barrier: spin a little, since the others are mostly about to come; then sleep, since they may not be running. */
    atomic_int arrived, phase, sleepers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_int next;                        /* the next piece of work of this phase */
    int active;                             /* threads that take part in this step */
    struct { double alone, together; int count; } cost[FEW + 2]; /* seconds a position, by positions; the last: more */
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

/* y[t * stride + r] = row r . x[t] for R rows of a block, whose first vector is at `w`, and T positions from `t` on.
   No sum overflows: see `limit`. */
static inline __attribute__((always_inline)) void rows_of_block(
    const int R, const int T, const int8_t *w, const float *scales, const Rows *x, int t0, float *y, int stride
) {
    ints sum[BLOCK][TILE];
    int wide = x->columns + SKEW;
    const int16_t *from = x->values + (size_t)t0 * wide;
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) sum[r][t] = i_zero();
    for (int c = 0; c < x->columns; c += WIDTH, w += BLOCK * WIDTH) {
        __builtin_prefetch(w + AHEAD);
        __builtin_prefetch(w + AHEAD + 64);
        ints each[TILE];
        for (int t = 0; t < T; t++) each[t] = i_load(from + (size_t)t * wide + c);
        for (int r = 0; r < R; r++) {
            ints v = i_widen(w + r * WIDTH);
            for (int t = 0; t < T; t++) sum[r][t] = i_dot(sum[r][t], v, each[t]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++)
            y[(size_t)t * stride + r] = scales[r] * x->scales[t0 + t] * v_sum(i_float(sum[r][t]));
}

/* As many rows at once as keep the vector registers filled with sums. */
#define ROWS(R, T)                                                                                           \
    for (; r + R <= BLOCK; r += R)                                                                           \
        rows_of_block(R, T, w + r * WIDTH, scales + r, x, t, y + n + r, stride);                             \
    if (r < BLOCK)                                                                                           \
        rows_of_block(BLOCK % R ? BLOCK % R : 1, T, w + r * WIDTH, scales + r, x, t, y + n + r, stride);

/* y (T, stride) = `num` rows of a matrix, from `first` on, times the first T rows of x; both multiples of BLOCK. */
static void multiply(Matrix m, int first, int num, const Rows *x, int T, float *y, int stride) {
    for (int t = 0, done = 0; t < T; t += done, y += (size_t)done * stride) {
        done = T - t < TILE ? T - t : TILE;
        for (int n = 0; n < num; n += BLOCK) {
            const int8_t *w = m.rows + (size_t)(first + n) * x->columns;
            const float *scales = m.scales + first + n;
            int r = 0;
            switch (done) {
                case 1: ROWS(8, 1) break;
                case 2: ROWS(4, 2) break;
                case 3: ROWS(2, 3) break;
                default: ROWS(2, 4) break;
            }
        }
    }
}

static void rms_norm(const float *x, const float *weight, int size, float eps, float *y) {
    vec sum = v_zero();
    for (int c = 0; c < size; c += LANES) sum = v_fma(v_load(x + c), v_load(x + c), sum);
    vec scale = v_set(1.0f / sqrtf(v_sum(sum) / size + eps));
    for (int c = 0; c < size; c += LANES) v_store(y + c, v_mul(v_mul(v_load(x + c), scale), v_load(weight + c)));
}

/* The largest int16 with which no lane's sum can overflow: it has columns / LANES products with up to 127. */
static inline float limit(int columns) {
    double most = 2147483647.0 * LANES / (127.0 * columns);
    return most > 32767.0 ? 32767.0f : (float)(int)most;
}

/* x (columns,) as row t of `y`. */
static void narrow(const float *x, Rows *y, int t) {
    vec top = v_zero();
    for (int c = 0; c < y->columns; c += LANES) {
        vec a = v_load(x + c);
        top = v_max(top, v_max(a, v_mul(a, v_set(-1.0f))));
    }
    float tops[LANES], most = 0.0f;
    v_store(tops, top);
    for (int k = 0; k < LANES; k++) most = tops[k] > most ? tops[k] : most;
    y->scales[t] = most / limit(y->columns);
    vec up = v_set(most > 0.0f ? limit(y->columns) / most : 0.0f);
    int16_t *to = y->values + (size_t)t * (y->columns + SKEW);
    for (int c = 0; c < y->columns; c += WIDTH)
        v_narrow(v_mul(v_load(x + c), up), v_mul(v_load(x + c + LANES), up), to + c);
}

static void rotate(float *x, const float *cos, const float *sin, int size) {
    int half = size / 2;
    for (int c = 0; c < half; c++) {
        float left = x[c], right = x[c + half];
        x[c] = left * cos[c] - right * sin[c];
        x[c + half] = right * cos[c + half] + left * sin[c + half];
    }
}

/* Scores of H queries (H, size), against 4 keys each: q . key, to scores[h * stride]. */
static inline __attribute__((always_inline)) void score(
    const int H, const float *q, const float *const key[4], int size, float *scores, int stride
) {
    vec sum[2][4];
    for (int h = 0; h < H; h++)
        for (int k = 0; k < 4; k++) sum[h][k] = v_zero();
    for (int c = 0; c < size; c += LANES)
        for (int h = 0; h < H; h++) {
            vec each = v_load(q + (size_t)h * size + c);
            for (int k = 0; k < 4; k++) sum[h][k] = v_fma(each, v_load(key[k] + c), sum[h][k]);
        }
    for (int h = 0; h < H; h++) v_sum4(sum[h][0], sum[h][1], sum[h][2], sum[h][3], scores + (size_t)h * stride);
}

/* scores (padded,) of `length` positions to weights: softmax of scores / sqrt(size), 0 in the padding. */
static void soften(float *scores, int length, int padded, int size) {
    float top = -INFINITY;
    vec scale = v_set(1.0f / sqrtf((float)size)), total = v_zero();
    for (int n = 0; n < length; n++) top = scores[n] > top ? scores[n] : top;
    vec highest = v_mul(v_set(-top), scale);
    for (int n = length; n < padded; n++) scores[n] = top;
    for (int n = 0; n < padded; n += LANES) v_store(scores + n, v_exp(v_fma(v_load(scores + n), scale, highest)));
    for (int n = length; n < padded; n++) scores[n] = 0.0f;
    for (int n = 0; n < padded; n += LANES) total = v_fma(v_load(scores + n), v_set(1.0f), total);
    vec share = v_set(1.0f / v_sum(total));
    for (int n = 0; n < padded; n += LANES) v_store(scores + n, v_mul(v_load(scores + n), share));
}

/* y (size,) += weights (num,) times values (num, size), `lanes` vectors of them at once. */
static inline __attribute__((always_inline)) void weigh(
    const int lanes, const float *weights, const float *values, int num, int size, float *y
) {
    vec sum[8];
    for (int k = 0; k < lanes; k++) sum[k] = v_load(y + k * LANES);
    for (int n = 0; n < num; n++) {
        vec weight = v_set(weights[n]);
        for (int k = 0; k < lanes; k++) sum[k] = v_fma(weight, v_load(values + (size_t)n * size + k * LANES), sum[k]);
    }
    for (int k = 0; k < lanes; k++) v_store(y + k * LANES, sum[k]);
}

/* Attention of H heads that share keys and values (length, size): q and y (H, size), scores (H, stride).
   Keys and values are taken a few at a time for all heads: from memory once, from the nearest cache H times. */
static void attend(
    int H, const float *q, const float *keys, const float *values, int length, int size, float *scores, int stride,
    float *y
) {
    int padded = (length + LANES - 1) / LANES * LANES;
    for (int n = 0; n < length; n += 4) {
        const float *key[4];
        int h = 0;
        for (int k = 0; k < 4; k++) key[k] = keys + (size_t)(n + k < length ? n + k : n) * size;
        for (; h + 2 <= H; h += 2) score(2, q + (size_t)h * size, key, size, scores + (size_t)h * stride + n, stride);
        if (h < H) score(1, q + (size_t)h * size, key, size, scores + (size_t)h * stride + n, stride);
    }
    for (int h = 0; h < H; h++) soften(scores + (size_t)h * stride, length, padded, size);
    memset(y, 0, sizeof(float) * H * size);
    for (int n = 0; n < length; n += NEAR) {
        int num = length - n < NEAR ? length - n : NEAR;
        for (int h = 0; h < H; h++)
            for (int c = 0; c < size;) {
                const float *weights = scores + (size_t)h * stride + n, *part = values + (size_t)n * size + c;
                float *to = y + (size_t)h * size + c;
                if (size - c >= 8 * LANES) weigh(8, weights, part, num, size, to), c += 8 * LANES;
                else if (size - c >= 4 * LANES) weigh(4, weights, part, num, size, to), c += 4 * LANES;
                else weigh(1, weights, part, num, size, to), c += LANES;
            }
    }
}

/* -- phases of a layer; each thread runs all of them and takes pieces of work */

static void project(Pool *pool, const Layer *layer, int number) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    int size = m->head_size, units = m->heads + 2 * m->kv_heads, wide = m->heads * size;
    float part[MAX_TOKENS * 256];
    for (int unit; (unit = take(pool)) < units;) {
        multiply(layer->qkv, unit * size, size, &pool->normed, s->num, part, size);
        for (int t = 0; t < s->num; t++) {
            float *row = part + t * size;
            size_t place = (size_t)s->place[t] * size;
            if (layer->qkv_bias)
                for (int c = 0; c < size; c++) row[c] += layer->qkv_bias[unit * size + c];
            if (unit < m->heads + m->kv_heads) {
                const float *norm = unit < m->heads ? layer->norm_q : layer->norm_k;
                if (norm) rms_norm(row, norm, size, m->eps, row);
                rotate(row, m->cos + place, m->sin + place, size);
            }
            if (unit < m->heads) {
                memcpy(pool->q + (size_t)t * wide + unit * size, row, size * sizeof(float));
                continue;
            }
            int is_value = unit >= m->heads + m->kv_heads, head = (unit - m->heads) % m->kv_heads;
            size_t at = ((size_t)number * m->kv_heads + head) * s->capacity[t] * size + place;
            memcpy((is_value ? s->values[t] : s->keys[t]) + at, row, size * sizeof(float));
        }
    }
}

static void mix(Pool *pool, int number, int worker) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    int size = m->head_size, wide = m->heads * size, group = m->heads / m->kv_heads;
    int together = m->kv_heads * s->num >= pool->active ? group : 1, units = m->heads / together;
    for (int unit; (unit = take(pool)) < units * s->num;) {
        int head = unit / s->num * together, t = unit % s->num;
        size_t at = ((size_t)number * m->kv_heads + head / group) * s->capacity[t] * size;
        attend(together, pool->q + (size_t)t * wide + head * size, s->keys[t] + at, s->values[t] + at,
               s->place[t] + 1, size, pool->scores + (size_t)worker * group * pool->num_scores, pool->num_scores,
               pool->mixed + (size_t)t * wide + head * size);
    }
}

/* x += rows of a matrix times `in`. */
static void add(Pool *pool, Matrix matrix, const float *bias, const Rows *in) {
    int hidden = pool->model->hidden, T = pool->step->num;
    float part[MAX_TOKENS * PIECE];
    for (int unit; (unit = take(pool)) * PIECE < hidden;) {
        int first = unit * PIECE, num = hidden - first < PIECE ? hidden - first : PIECE;
        multiply(matrix, first, num, in, T, part, PIECE);
        for (int t = 0; t < T; t++)
            for (int r = 0; r < num; r++)
                pool->x[(size_t)t * hidden + first + r] += part[t * PIECE + r] + (bias ? bias[first + r] : 0.0f);
    }
}

static void gate(Pool *pool, const Layer *layer) {
    const Model *m = pool->model;
    int T = pool->step->num, inner = m->inner;
    float opened[MAX_TOKENS * PIECE], part[MAX_TOKENS * PIECE];
    for (int unit; (unit = take(pool)) * PIECE < inner;) {
        int first = unit * PIECE, num = inner - first < PIECE ? inner - first : PIECE;
        multiply(layer->up, first, num, &pool->normed, T, opened, PIECE);
        multiply(layer->up, inner + first, num, &pool->normed, T, part, PIECE);
        for (int t = 0; t < T; t++)
            for (int r = 0; r < num; r += LANES) {
                /* a * sigmoid(a) = a * e / (1 + e), with e = e^-|a| turned round where a > 0 */
                vec a = v_load(opened + t * PIECE + r), e = v_exp(v_mul(v_max(a, v_mul(a, v_set(-1.0f))), v_set(-1.0f)));
                for (int k = 0; k < LANES; k++) {
                    float low = e[k], sigmoid = a[k] < 0 ? low / (1.0f + low) : 1.0f / (1.0f + low);
                    pool->inner[(size_t)t * inner + first + r + k] = a[k] * sigmoid * part[t * PIECE + r + k];
                }
            }
    }
}

static void read_out(Pool *pool) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    for (int unit; (unit = take(pool)) * 4 * PIECE < m->vocab;) {
        int first = unit * 4 * PIECE, num = m->vocab - first < 4 * PIECE ? m->vocab - first : 4 * PIECE;
        multiply(m->head, first, num, &pool->normed, s->num_logits, s->logits + first, m->vocab);
    }
}

/* Norms of `num` positions, or of those in `wanted`; each is a piece of work. */
static void norm(Pool *pool, int worker, const float *weight, const int32_t *wanted, int num) {
    const Model *m = pool->model;
    float *row = pool->row + (size_t)worker * m->hidden;
    for (int n; (n = take(pool)) < num;) {
        rms_norm(pool->x + (size_t)(wanted ? wanted[n] : n) * m->hidden, weight, m->hidden, m->eps, row);
        narrow(row, &pool->normed, n);
    }
}

/* What one phase has made of all positions, as the next one multiplies it. */
static void narrow_all(Pool *pool, const float *x, Rows *y) {
    for (int t; (t = take(pool)) < pool->step->num;) narrow(x + (size_t)t * y->columns, y, t);
}

static void run(Pool *pool, int worker) {
    const Model *m = pool->model;
    const Step *s = pool->step;
    for (int t; (t = take(pool)) < s->num;) {
        int id = s->ids[t];
        const int8_t *w = m->embedding.rows + (size_t)(id / BLOCK * BLOCK) * m->hidden + id % BLOCK * WIDTH;
        float *x = pool->x + (size_t)t * m->hidden, *row = pool->row + (size_t)worker * m->hidden;
        for (int c = 0; c < m->hidden; c += WIDTH, w += BLOCK * WIDTH)
            for (int k = 0; k < WIDTH; k++) x[c + k] = w[k] * m->embedding.scales[id];
        rms_norm(x, m->layer[0].norm_in, m->hidden, m->eps, row);
        narrow(row, &pool->normed, t);
    }
    barrier(pool);
    for (int number = 0; number < m->layers; number++) {
        const Layer *layer = m->layer + number;
        project(pool, layer, number);
        barrier(pool);
        mix(pool, number, worker);
        barrier(pool);
        narrow_all(pool, pool->mixed, &pool->narrow_mixed);
        barrier(pool);
        add(pool, layer->out, layer->out_bias, &pool->narrow_mixed);
        barrier(pool);
        norm(pool, worker, layer->norm_mid, NULL, s->num);
        barrier(pool);
        gate(pool, layer);
        barrier(pool);
        narrow_all(pool, pool->inner, &pool->narrow_inner);
        barrier(pool);
        add(pool, layer->down, NULL, &pool->narrow_inner);
        barrier(pool);
        if (number + 1 < m->layers) norm(pool, worker, layer[1].norm_in, NULL, s->num);
        else norm(pool, worker, m->norm, s->wanted, s->num_logits);
        barrier(pool);
    }
    read_out(pool);
    barrier(pool);
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

int step_width(void) { return WIDTH; }

static float *floats(size_t rows, size_t columns) { return malloc(sizeof(float) * rows * columns); }

static Rows rows(int columns) {
    return (Rows){malloc(sizeof(int16_t) * MAX_TOKENS * (columns + SKEW)), floats(MAX_TOKENS, 1), columns};
}

Pool *step_open(const Model *model, int positions) {
    Pool *pool = calloc(1, sizeof(Pool));
    if (!pool) return NULL;
    size_t wide = (size_t)model->heads * model->head_size;
    pool->model = model;
    pool->num_scores = (positions + LANES - 1) / LANES * LANES;
    pool->x = floats(MAX_TOKENS, model->hidden);
    pool->q = floats(MAX_TOKENS, wide);
    pool->mixed = floats(MAX_TOKENS, wide);
    pool->inner = floats(MAX_TOKENS, model->inner);
    pool->row = floats(model->threads, model->hidden);
    pool->normed = rows(model->hidden);
    pool->narrow_mixed = rows(wide);
    pool->narrow_inner = rows(model->inner);
    pool->scores = floats((size_t)model->threads * (model->heads / model->kv_heads), pool->num_scores);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    for (int n = 1; n < model->threads; n++) {
        Worker *worker = malloc(sizeof(Worker));
        *worker = (Worker){pool, n};
        pthread_create(&pool->thread[n], NULL, work, worker);
    }
    return pool;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

/* Two processors may be one core's two halves, or busy with something else: then a step is faster alone, since nobody
   waits for anybody. What is faster is measured all the time, the other way tried now and then. */
static int is_better_together(Pool *pool, int kind) {
    double alone = pool->cost[kind].alone, together = pool->cost[kind].together;
    if (pool->model->threads == 1 || !alone) return 0;
    if (!together) return 1;
    int is_better = together < 0.9 * alone, is_trial = ++pool->cost[kind].count % TRIAL == 0;
    return is_better ^ is_trial;
}

void step_run(Pool *pool, const Step *step) {
    int kind = step->num <= FEW ? step->num : FEW + 1, together = is_better_together(pool, kind);
    double began = seconds();
    pool->step = step;
    pool->active = together ? pool->model->threads : 1;
    atomic_store(&pool->next, 0);
    if (together) advance(pool, &pool->turn);
    run(pool, 0);
    double *mean = together ? &pool->cost[kind].together : &pool->cost[kind].alone;
    double cost = (seconds() - began) / step->num;
    *mean = *mean ? 0.75 * *mean + 0.25 * cost : cost;
}

void step_close(Pool *pool) {
    atomic_store(&pool->is_stopping, 1);
    advance(pool, &pool->turn);
    for (int n = 1; n < pool->model->threads; n++) pthread_join(pool->thread[n], NULL);
    free(pool->x), free(pool->q), free(pool->mixed), free(pool->inner), free(pool->row), free(pool->scores);
    Rows all[] = {pool->normed, pool->narrow_mixed, pool->narrow_inner};
    for (int n = 0; n < 3; n++) free(all[n].values), free(all[n].scales);
    free(pool);
}
